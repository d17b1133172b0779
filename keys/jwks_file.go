package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"kest.example/kest"
)

// OpenJWKSFile reads a set from a regular file and, whenever it has changed,
// again. A first reading that fails is an error that wraps
// kest.ErrConfiguration; after a later one the last good keys count for a while
// (KeepFor).
func OpenJWKSFile(path string, options ...JWKSOption) (*JWKS, error) {
	f := &fileSet{path: path, keep: newJWKSOptions(options).keep}
	if err := f.read(); err != nil {
		return nil, fmt.Errorf("keys: the JWKS file: %w: %w", kest.ErrConfiguration, err)
	}
	return &JWKS{keys: f.keys}, nil
}

// fileSet is what a file held when it was last read.
type fileSet struct {
	path string
	keep time.Duration

	mu    sync.Mutex
	set   keySet
	info  os.FileInfo // of the reading that was tried last
	bad   error       // why the last reading failed
	since time.Time   // since when readings fail
}

func (f *fileSet) keys(_ context.Context, kid string) ([]kest.PublicKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil && time.Since(f.since) > f.keep {
		return nil, fmt.Errorf("keys: the JWKS file: %w: %w", kest.ErrUnavailable, err)
	}
	return f.set.get(kid), nil
}

// refresh reads the file where it is another one than at the last reading.
func (f *fileSet) refresh() error {
	info, err := os.Stat(f.path)
	if err == nil && f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()) {
		return f.bad
	}
	if err == nil {
		err = f.read()
	} else {
		f.info = nil
	}
	if err != nil && f.bad == nil {
		f.since = time.Now()
	}
	f.bad = err
	return err
}

var errNoFile = errors.New("it is no regular file")

// read takes what the file says before its content: a change between the two
// shows at the next reading.
func (f *fileSet) read() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	f.info = info
	if !info.Mode().IsRegular() {
		return errNoFile
	}
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err != nil {
		return err
	}
	set, err := parseOwnSet(text)
	if err != nil {
		return err
	}
	f.set = set
	return nil
}
