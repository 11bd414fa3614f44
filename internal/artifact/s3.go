package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 is a bucket of a store that speaks S3. Endpoint and Bucket must be given.
type S3 struct {
	// Endpoint is a URL: https://s3.eu-central-1.amazonaws.com.
	Endpoint string
	Region   string
	Bucket   string
	// Prefix is put before all keys.
	Prefix string
	// PathStyle puts the bucket into the path, as most stores but Amazon's want it.
	PathStyle bool
	// Keys gives the access key and the secret key, and is asked whenever they are needed. Nil takes
	// those of the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), of AWS' file or of the machine.
	Keys func() (access, secret string, err error)
	// Transport makes the connections, nil for the library's.
	Transport http.RoundTripper
}

// s3 is a bucket of a store that speaks S3.
type s3 struct {
	client         *minio.Client
	bucket, prefix string
}

// answerTimeout is how long such a store may take to begin an answer.
const answerTimeout = 30 * time.Second

// maxS3Tries is how often a request is sent at most. Pauses grow between.
const maxS3Tries = 3

func newS3(c S3) (*s3, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
		return nil, errors.New("the endpoint of S3 must be a URL, for example https://s3.eu-central-1.amazonaws.com")
	}
	if c.Bucket == "" {
		return nil, errors.New("the bucket of S3 must be given")
	}
	transport := c.Transport
	if transport == nil {
		made, err := minio.DefaultTransport(endpoint.Scheme == "https")
		if err != nil {
			return nil, fmt.Errorf("configure S3: %w", err)
		}
		made.ResponseHeaderTimeout = answerTimeout
		transport = made
	}
	style := minio.BucketLookupAuto
	if c.PathStyle {
		style = minio.BucketLookupPath
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds: c.credentials(), Secure: endpoint.Scheme == "https", Region: c.Region, BucketLookup: style,
		Transport: transport, MaxRetries: maxS3Tries,
	})
	if err != nil {
		return nil, fmt.Errorf("configure S3: %w", err)
	}
	prefix := strings.Trim(c.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &s3{client, c.Bucket, prefix}, nil
}

func (c S3) credentials() *credentials.Credentials {
	if c.Keys != nil {
		return credentials.New(keys{c.Keys})
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
}

// keys are keys that are given, and may be others next time: a file may be changed.
type keys struct {
	get func() (access, secret string, err error)
}

func (k keys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

func (k keys) Retrieve() (credentials.Value, error) {
	access, secret, err := k.get()
	if err != nil {
		return credentials.Value{}, fmt.Errorf("read keys of S3: %w", err)
	}
	return credentials.Value{AccessKeyID: access, SecretAccessKey: secret, SignerType: credentials.SignatureV4}, nil
}

func (k keys) IsExpired() bool { return true }

func (b *s3) Put(ctx context.Context, key string, draft *os.File, size int64) error {
	_, err := b.client.PutObject(ctx, b.bucket, b.prefix+key, io.NewSectionReader(draft, 0, size), size,
		minio.PutObjectOptions{ContentType: DefaultType})
	if err != nil {
		return fmt.Errorf("write to S3: %w", plain(err))
	}
	return nil
}

func (b *s3) Open(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	var options minio.GetObjectOptions
	if offset > 0 {
		if err := options.SetRange(offset, 0); err != nil {
			return nil, fmt.Errorf("read from S3: %w", err)
		}
	}
	core := minio.Core{Client: b.client}
	from, _, _, err := core.GetObject(ctx, b.bucket, b.prefix+key, options)
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read from S3: %w", plain(err))
	}
	return from, nil
}

func (b *s3) Delete(ctx context.Context, key string) error {
	err := b.client.RemoveObject(ctx, b.bucket, b.prefix+key, minio.RemoveObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return fmt.Errorf("remove from S3: %w", plain(err))
	}
	return nil
}

func (b *s3) List(ctx context.Context, prefix string) (all []object, _ error) {
	for o := range b.client.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{
		Prefix: b.prefix + prefix, Recursive: true,
	}) {
		if o.Err != nil {
			return nil, fmt.Errorf("list S3: %w", plain(o.Err))
		}
		all = append(all, object{strings.TrimPrefix(o.Key, b.prefix), o.Size, o.LastModified})
	}
	return all, nil
}

// plain is an error of the store in a form that is safe to log: its code and message, and not the
// request, whose address may hold a signature.
func plain(err error) error {
	var answer minio.ErrorResponse
	var request *url.Error
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("%s (%d): %s", answer.Code, answer.StatusCode, answer.Message)
	case errors.As(err, &request):
		return fmt.Errorf("%s: %w", request.Op, request.Err)
	}
	return err
}
