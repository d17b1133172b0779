package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

var errCertificate = errors.New("--tls-cert and --tls-key go together, and --client-ca needs them")

// openTLS serves TLS with files, or with SVIDs.
func (p *proxyCmd) openTLS(parts *proxyParts) error {
	switch {
	case p.TLSSVID:
		return p.openSVIDs(parts)
	case p.TLSCert == "" && p.TLSKey == "" && p.ClientCA == "":
		return nil
	case p.TLSCert == "" || p.TLSKey == "":
		return errCertificate
	}
	files := &tlsFiles{cert: p.TLSCert, key: p.TLSKey, clientCA: p.ClientCA, log: parts.log}
	if err := files.open(); err != nil {
		return err
	}
	parts.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: files.forClient}
	return nil
}

// tlsFiles are a certificate, its key and the authorities of clients. Whoever
// renews them writes the files; a handshake then finds the new ones.
type tlsFiles struct {
	cert, key, clientCA string // paths; clientCA may be ""
	log                 *slog.Logger

	mu     sync.Mutex
	looked time.Time     // when the files were last looked at
	seen   []os.FileInfo // what they were at the last reading; nil for one that isn't there
	config *tls.Config   // of the last good reading
	bad    string        // why the reading after that failed
}

// lookEvery is how often handshakes look at the files.
const lookEvery = time.Second

// open reads the files for the first time.
func (f *tlsFiles) open() (err error) {
	f.looked, f.seen = time.Now(), f.stat()
	f.config, err = f.read()
	return err
}

// forClient implements tls.Config.GetConfigForClient.
func (f *tlsFiles) forClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) >= lookEvery {
		f.looked = now
		f.refresh()
	}
	return f.config, nil
}

// refresh reads the files where one has changed, and after a bad reading again.
func (f *tlsFiles) refresh() {
	seen := f.stat()
	if f.bad == "" && sameFiles(seen, f.seen) {
		return
	}
	f.seen = seen
	config, err := f.read()
	if err != nil {
		if text := err.Error(); text != f.bad {
			f.bad = text
			f.log.Error("a TLS file has changed and can't be used: what was read before stays", "error", text)
		}
		return
	}
	f.config, f.bad = config, ""
	f.log.Info("the TLS files have been read anew", "not_after", config.Certificates[0].Leaf.NotAfter)
}

// stat goes before reading: a change between the two shows at the next look.
func (f *tlsFiles) stat() []os.FileInfo {
	list := make([]os.FileInfo, 3)
	for i, path := range []string{f.cert, f.key, f.clientCA} {
		if path != "" {
			list[i], _ = os.Stat(path) // why it is not there, reading says
		}
	}
	return list
}

func sameFiles(a, b []os.FileInfo) bool {
	for i := range a {
		if !sameFile(a[i], b[i]) {
			return false
		}
	}
	return true
}

func sameFile(a, b os.FileInfo) bool {
	switch {
	case a == nil || b == nil:
		return a == b
	case !a.Mode().IsRegular() && !b.Mode().IsRegular():
		return true // a pipe can be read once
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read makes a configuration of what the files hold now.
func (f *tlsFiles) read() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"}, // net/http sets it on the outer configuration only
	}
	if f.clientCA == "" {
		return config, nil
	}
	text, err := os.ReadFile(f.clientCA)
	if err != nil {
		return nil, fmt.Errorf("--client-ca: %w", err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--client-ca %s: no certificate is in it", f.clientCA)
	}
	return config, nil
}
