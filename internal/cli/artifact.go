package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) artifactCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "artifact",
		SuggestFor: []string{"artifacts", "file", "files", "upload", "download"},
		Short:      "Stores, gets and removes files that tasks take and make",
		Example:    "  tasklane artifact put report.pdf",
		Args:       NoArguments,
		RunE:       ShowHelp,
	}
	cmd.AddCommand(con.putCommand(), con.getArtifactCommand(), con.removeCommand())
	return cmd
}

// artifactRow is a file as it is printed.
type artifactRow struct{ schemas.Artifact }

func (a artifactRow) Columns() []string { return []string{"ARTIFACT", "SIZE", "TYPE", "NAME"} }

func (a artifactRow) Cells() []string { return []string{a.Hash, fmt.Sprint(a.Size), a.Type, a.Name} }

func (con *Console) putCommand() *cobra.Command {
	r := new(connection)
	var name, kind string
	cmd := &cobra.Command{
		Use:        "put FILE...",
		SuggestFor: []string{"upload", "add", "store"},
		Short:      "Stores files and prints what names them",
		Long: `Stores files and prints what names them in input_data: with -o json the member's
value as it is, {"artifact": HASH, "name": ..., "type": ..., "size": ...}. FILE can be
- for standard input.`,
		Example: `  tasklane artifact put report.pdf --user alice -o json
  tar c docs | tasklane artifact put - --name docs.tar --user alice`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 1 && (name != "" || kind != "") {
				return fmt.Errorf("%s takes one file or more; --name and --type are for a single one", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				for _, path := range args {
					stored, err := con.upload(ctx, c, path, client.UploadRequest{UserID: r.user, Name: name, Type: kind})
					if err == nil {
						err = con.Printer(r.form).One(artifactRow{stored})
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	r.addUser(cmd.Flags())
	cmd.Flags().StringVar(&name, "name", "", "name it is saved by; that of the file if not given")
	cmd.Flags().StringVar(&kind, "type", "", "media type, for example application/pdf; by the name's ending if not given")
	return cmd
}

// upload stores a file of this machine, or standard input.
func (con *Console) upload(ctx context.Context, c *client.Client, path string,
	request client.UploadRequest) (schemas.Artifact, error) {
	request.Content = con.Stdin
	if path != "-" {
		file, err := openFile(path)
		if err != nil {
			return schemas.Artifact{}, err
		}
		defer func() { _ = file.Close() }()
		request.Content = file
		if request.Name == "" {
			request.Name = filepath.Base(path)
		}
	}
	if request.Type == "" {
		request.Type = mime.TypeByExtension(filepath.Ext(request.Name))
	}
	return c.Upload(ctx, request)
}

func openFile(path string) (*os.File, error) {
	file, err := os.Open(path) //nolint:gosec // named by the person at the command line
	if err != nil {
		return nil, Usagef("read file: %w", err)
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		_ = file.Close()
		return nil, Usagef("%s is a directory; pack it, for example with tar, and store the archive", path)
	}
	return file, nil
}

func (con *Console) getArtifactCommand() *cobra.Command {
	r := new(connection)
	var out string
	cmd := &cobra.Command{
		Use:        "get HASH",
		SuggestFor: []string{"download", "read", "cat"},
		Short:      "Gets a file",
		Long: `Gets a file, to standard output or into a file, and compares it with its hash: what
was printed is only good if the command ends with 0. With --out it goes on where an
earlier one was interrupted, and the file appears when it is whole.`,
		Example: `  tasklane artifact get 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --user alice \
      --out report.pdf`,
		Args: oneHash,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				request := client.DownloadRequest{UserID: r.user, Artifact: schemas.Artifact{Hash: args[0]}}
				if out == "" {
					_, err := c.Download(ctx, request, con.Stdout)
					return err
				}
				file, err := download(ctx, c, request, out)
				if err != nil {
					return err
				}
				return con.Printer(r.form).One(artifactRow{file})
			})
		},
	}
	r.addUser(cmd.Flags())
	cmd.Flags().StringVar(&out, "out", "", "file that it is written to, in the place of one that is there")
	return cmd
}

func oneHash(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one argument, the artifact's hash; %d were given", cmd.CommandPath(), len(args))
	}
	return nil
}

// download writes a file beside the one it is to be, where the next one goes on if this one is interrupted. What is
// there is told by the hash in its name: another file's beginning is not taken for this one's.
func download(ctx context.Context, c *client.Client, request client.DownloadRequest,
	path string) (schemas.Artifact, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return schemas.Artifact{}, Usagef("--out %s is a directory; name the file", path)
	}
	part := fmt.Sprintf("%s.%.12s.part", path, request.Artifact.Hash)
	to, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // named by the person at the command line
	if err != nil {
		return schemas.Artifact{}, Usagef("write file: %w", err)
	}
	defer func() { _ = to.Close() }()
	request.Begin = to // and the rest is written behind it
	file, err := c.Download(ctx, request, to)
	switch empty := isEmpty(to); {
	case errors.Is(err, client.ErrDamaged):
		_ = os.Remove(part)
		return file, fmt.Errorf("%w; it was removed, and the same command gets all of it again", err)
	case err != nil && empty:
		_ = os.Remove(part)
		return file, err
	case err != nil:
		return file, fmt.Errorf("%w; what has come is in %s, and the same command goes on from there", err, part)
	}
	if err := errors.Join(to.Sync(), to.Close(), os.Rename(part, path)); err != nil {
		return file, fmt.Errorf("write file: %w", err)
	}
	return file, nil
}

func isEmpty(file fs.File) bool {
	info, err := file.Stat()
	return err == nil && info.Size() == 0
}

func (con *Console) removeCommand() *cobra.Command {
	r := new(connection)
	cmd := &cobra.Command{
		Use:        "rm HASH",
		SuggestFor: []string{"remove", "delete", "del"},
		Short:      "Takes a file from the user; others who have the same keep it",
		Example: "  tasklane artifact rm 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 " +
			"--user alice",
		Args: oneHash,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				return c.DeleteArtifact(ctx, r.user, args[0])
			})
		},
	}
	r.addUser(cmd.Flags())
	return cmd
}

// attach stores the files of a task that is to be submitted, and names them in its input.
func (con *Console) attach(ctx context.Context, c *client.Client, task *schemas.Task, files []attachment) error {
	for _, one := range files {
		stored, err := con.upload(ctx, c, one.path, client.UploadRequest{UserID: task.UserID})
		if err != nil {
			return err
		}
		if task.InputData, err = withMember(task.InputData, one.member, stored); err != nil {
			return err
		}
	}
	return nil
}
