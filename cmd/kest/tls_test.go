package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kest.example/kest/test/fleet"
)

// tlsFolder is a folder with the files of a server: cert.pem, key.pem and ca.pem.
type tlsFolder string

func newTLSFolder(t *testing.T, files *fleet.TLS) tlsFolder {
	t.Helper()
	d := tlsFolder(t.TempDir())
	d.take(t, files)
	return d
}

func (d tlsFolder) cert() string { return filepath.Join(string(d), "cert.pem") }
func (d tlsFolder) key() string  { return filepath.Join(string(d), "key.pem") }
func (d tlsFolder) ca() string   { return filepath.Join(string(d), "ca.pem") }

// take replaces all files.
func (d tlsFolder) take(t *testing.T, files *fleet.TLS) {
	t.Helper()
	for to, from := range map[string]string{d.cert(): files.Cert, d.key(): files.Key, d.ca(): files.CA} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, to, string(text))
	}
}

// replace writes a file as whoever renews certificates should: at once.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// overTLS is a client that shakes hands for each request.
func overTLS(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 30 * time.Second, Transport: transport}
}

// ask sends one GET; an error is one of the handshake's.
func ask(t *testing.T, c *http.Client, url string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer, string(body), err
}

// served is the certificate that the server shows to a client, nil where the
// handshake fails.
func served(t *testing.T, c *http.Client, url string) *x509.Certificate {
	t.Helper()
	answer, _, err := ask(t, c, url)
	if err != nil {
		t.Logf("no handshake: %v", err)
		return nil
	}
	return answer.TLS.PeerCertificates[0]
}

// noHandshake wants a client refused before it can send anything.
func noHandshake(t *testing.T, what string, c *http.Client, url string) {
	t.Helper()
	if answer, body, err := ask(t, c, url); err == nil {
		t.Errorf("%s: %d %s", what, answer.StatusCode, body)
	}
}
