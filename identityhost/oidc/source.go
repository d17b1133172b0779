package oidc

import (
	"fmt"
	"io"
	"os"
	"strings"

	"kest.example/kest/identityhost/internal/jwt"
)

// Source reads the token of this workload, every time anew. Its errors don't
// quote what it read.
type Source func() (token string, err error)

// File reads the token from a regular file, through links, as those of
// Kubernetes that are swapped.
func File(path string) Source {
	return func() (string, error) {
		// Asked before it is opened: opening a pipe would wait for its writer.
		switch info, err := os.Stat(path); {
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("%s is no regular file", path)
		}
		f, err := os.Open(path) //nolint:gosec // the path is the operator's
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		text, err := io.ReadAll(io.LimitReader(f, jwt.MaxBytes+3)) // room for a line end, and for one byte too many
		return strings.TrimSpace(string(text)), err
	}
}

// Variable reads the token from a variable of an environment, such as
// os.LookupEnv.
func Variable(name string, env func(string) (string, bool)) Source {
	return func() (string, error) {
		text, ok := env(name)
		if !ok || text == "" {
			return "", fmt.Errorf("%s is not set", name)
		}
		return strings.TrimSpace(text), nil
	}
}
