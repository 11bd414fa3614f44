package auth

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

const (
	// minSecretBytes is as long as the hash of HS256, what RFC 7518 asks for.
	minSecretBytes = 32
	// maxFileBytes bounds a file of keys.
	maxFileBytes = 1 << 20
	// maxFileKeys bounds how many signatures one token can cost.
	maxFileKeys = 16
)

// readSecret reads a secret: all bytes of the file but line ends after it.
func readSecret(path string) ([]byte, error) {
	content, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if block, _ := pem.Decode(content); block != nil {
		// Who has the public key could sign for anybody.
		return nil,
			fmt.Errorf("read secret: %s is a PEM file (%s) and no secret; give a public key as --auth-public-key-file", path,
				block.Type)
	}
	secret := bytes.TrimRight(content, "\r\n")
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("read secret: %s has %d bytes, at least %d are needed; make one with: openssl rand -base64 48",
			path, len(secret), minSecretBytes)
	}
	return secret, nil
}

// readFileKeys reads all keys of a configuration.
func readFileKeys(c Config) (fileKeys, error) {
	var all fileKeys
	for _, path := range c.SecretFiles {
		secret, err := readSecret(path)
		if err != nil {
			return nil, err
		}
		all = append(all, key{hs256, secret})
	}
	for _, path := range c.PublicKeyFiles {
		content, err := readSmall(path)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		some, err := parsePublicKeys(content)
		if err != nil {
			return nil, fmt.Errorf("read public key: %s: %w", path, err)
		}
		all = append(all, some...)
	}
	if len(all) > maxFileKeys {
		return nil, fmt.Errorf("read keys: there are %d, at most %d are tried for a token", len(all), maxFileKeys)
	}
	return all, nil
}

// parsePublicKeys reads every block of a PEM file.
func parsePublicKeys(content []byte) (fileKeys, error) {
	var all fileKeys
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		material, err := parsePublicBlock(block)
		if err != nil {
			return nil, err
		}
		k, err := publicKey(material)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	if len(all) == 0 || len(bytes.TrimSpace(content)) > 0 {
		return nil, errors.New("it is not PEM with public keys or certificates only")
	}
	return all, nil
}

func parsePublicBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, fmt.Errorf("a PEM block %q: want PUBLIC KEY or CERTIFICATE; the server needs no private key", block.Type)
}

// parsePrivateKey reads a PEM file with one private key.
func parsePrivateKey(content []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(content)
	if block != nil && block.Type == "EC PARAMETERS" { // as openssl ecparam writes it first
		block, rest = pem.Decode(rest)
	}
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is not PEM with one private key")
	}
	var material any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		material, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		material, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		material, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block %q: want PRIVATE KEY, not encrypted", block.Type)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := material.(crypto.Signer)
	if !ok {
		return nil, errKeyKind
	}
	return signer, nil
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), maxFileBytes)
	}
	return os.ReadFile(path)
}
