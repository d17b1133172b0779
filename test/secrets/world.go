// Package secrets runs all of Kest with secrets that are known and holds
// whatever comes out of it against them: logs, files, metrics, answers, errors.
// No private key, token or passphrase may be in any.
package secrets

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kest.example/kest/internal/kestcmd"
	"kest.example/kest/internal/secretscan"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/test/fleet"
)

// World is what runs, the secrets that it has, and what came out of it.
type World struct {
	t       testing.TB
	binary  string
	inputs  string // what an operator wrote: it may hold secrets
	outputs string // one folder a process; nothing in it may

	scan   *secretscan.Scanner
	plants []plant
	texts  []text
	logs   []namedLog
	pages  []string // addresses of metrics and health
	admin  []string // addresses of Envoys' admin interfaces
}

// text is something that came out.
type text struct {
	source string
	data   []byte
}

type namedLog struct {
	source string
	log    func() string
}

// plant is what might come out of a secret, and the name under which it must then
// be found.
type plant struct {
	name  string
	forms map[string][]byte
}

// New makes a world in which nothing runs yet.
func New(t testing.TB) *World {
	return &World{t: t, binary: kestcmd.Build(t), inputs: t.TempDir(), outputs: kestcmd.Folder(t), scan: secretscan.New()}
}

// Secret adds a text that must not come out, and returns it.
func (w *World) Secret(name, secret string) string {
	w.scan.Add(name, []byte(secret))
	w.plants = append(w.plants, plant{name, spell([]byte(secret))})
	return secret
}

// Fresh is a secret of random letters.
func (w *World) Fresh(name string) string { return w.Secret(name, rand.Text()) }

// Token adds a JWT, which may stand behind "Bearer ", and returns it.
func (w *World) Token(name, token string) string {
	jwt := strings.TrimPrefix(token, "Bearer ")
	w.scan.AddToken(name, jwt)
	w.plants = append(w.plants, plant{name, spell([]byte(jwt))})
	return token
}

// Seed adds a 32-byte seed, and returns it in base64url.
func (w *World) Seed(name string) string {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	w.Secret(name, string(seed))
	return base64.RawURLEncoding.EncodeToString(seed)
}

// Key adds a private key.
func (w *World) Key(name string, key crypto.PrivateKey) {
	w.scan.AddKey(name, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	forms := spell(der)
	forms["PEM"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		if der, err = x509.MarshalECPrivateKey(k); err != nil {
			w.t.Fatal(err)
		}
		forms["SEC 1"], forms["SEC 1 PEM"] = der, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	}
	w.plants = append(w.plants, plant{name, forms})
}

// spell writes bytes as programs do.
func spell(b []byte) map[string][]byte {
	forms := map[string][]byte{"raw": b}
	for _, verb := range []string{"%v", "%#v", "%x", "%X", "% x", "%q"} {
		forms[verb] = fmt.Appendf(nil, verb, b)
	}
	for name, e := range map[string]*base64.Encoding{"std": base64.StdEncoding, "raw std": base64.RawStdEncoding, "url": base64.URLEncoding, "raw url": base64.RawURLEncoding} {
		for before := range 3 {
			forms[fmt.Sprint(name, " after ", before)] = []byte(e.EncodeToString(append(make([]byte, before), b...)))
		}
	}
	forms["query"], forms["path"] = []byte(url.QueryEscape(string(b))), []byte(url.PathEscape(string(b)))
	forms["percent"] = []byte("%" + strings.ReplaceAll(fmt.Sprintf("% x", b), " ", "%"))
	return forms
}

// SVIDs adds the keys of what a Workload API hands out now.
func (w *World) SVIDs(api *workloadtest.Server) {
	for _, s := range api.SVIDs() {
		w.Key("the key of an SVID of "+s.ID, s.Key)
	}
}

// Input writes a file as an operator does, and returns its path.
func (w *World) Input(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.inputs, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// Keep takes what came out.
func (w *World) Keep(source string, data []byte) {
	w.texts = append(w.texts, text{source, bytes.Clone(data)})
}

// KeepLog takes a log at the end.
func (w *World) KeepLog(source string, log func() string) {
	w.logs = append(w.logs, namedLog{source, log})
}

// Folder is one of a process's own, which is searched at the end.
func (w *World) Folder(name string) string {
	w.t.Helper()
	dir := filepath.Join(w.outputs, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// Digest is a hash over the files of a process's folder.
func (w *World) Digest(name string) string {
	w.t.Helper()
	h := sha256.New()
	dir := w.Folder(name)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintln(h, path, len(data))
		_, _ = h.Write(data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Send sends a request and keeps all of the answer, or the error.
func (w *World) Send(c *http.Client, method, url, body string, headers ...string) (status int) {
	w.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if c == nil {
		c = http.DefaultClient
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0 // Go's own error, which quotes the test's address
	}
	defer func() { _ = answer.Body.Close() }()
	all, err := httputil.DumpResponse(answer, true)
	w.Keep(fmt.Sprintf("the answer %d to %s %s", answer.StatusCode, method, r.URL.Path), all)
	if err != nil {
		w.t.Logf("half an answer: %v", err)
	}
	return answer.StatusCode
}

// Admin adds the pages of an Envoy's admin interface, but for its configuration,
// which holds what it was given.
func (w *World) Admin(address string) { w.admin = append(w.admin, address) }

// Pages keeps the metrics and the health of all that runs.
func (w *World) Pages() {
	for _, address := range w.admin {
		for _, path := range []string{"/stats", "/stats/prometheus", "/clusters", "/listeners", "/server_info", "/certs", "/runtime"} {
			w.Send(nil, http.MethodGet, "http://"+address+path, "")
		}
	}
	for _, address := range w.pages {
		for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
			w.Send(kestcmd.Client(w.t, address), http.MethodGet, "http://kest"+path, "")
		}
	}
}

// Backend is an upstream that keeps what reaches it, but for the tokens, which
// are forwarded as they came.
func (w *World) Backend() *fleet.Backend {
	backend := fleet.NewBackend(w.t)
	next := backend.Config.Handler
	received := make(chan []byte, 10_000)
	backend.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		headers := r.Header.Clone()
		headers.Del("Authorization")
		headers.Del("Cookie")
		var b bytes.Buffer
		_ = headers.Write(&b)
		received <- b.Bytes()
		next.ServeHTTP(rw, r)
	})
	w.KeepLog("a request to the upstream", func() string {
		var all []byte
		for len(received) > 0 {
			all = append(all, <-received...)
		}
		return string(all)
	})
	return backend
}

// WantLog fails where the search would look at nothing.
func (w *World) WantLog(log, what string) {
	w.t.Helper()
	if !strings.Contains(log, what) {
		w.t.Errorf("a log doesn't say %q: the search looks at nothing", what)
	}
}

// Check searches all that came out. It fails, too, where the search itself would
// not find a secret.
func (w *World) Check() {
	w.t.Helper()
	for _, l := range w.logs {
		w.Keep(l.source, []byte(l.log()))
	}
	w.files()
	kids := w.keyIDs()
	size := 0
	for _, x := range w.texts {
		size += len(x.data)
		for _, f := range w.scan.Scan(x.source, x.data) {
			w.t.Error(f)
		}
	}
	w.t.Logf("searched %d outputs of %d bytes for %d secrets and %d keys", len(w.texts), size, len(w.plants), kids)
	w.control()
}

func (w *World) files() {
	w.t.Helper()
	err := filepath.WalkDir(w.outputs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		w.Keep("the file "+path, data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

var (
	thumbprint = regexp.MustCompile(`[A-Za-z0-9_-]{43}`)
	jwsHeader  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+`)
)

// keyIDs has the scanner look for the private half of each key that any output
// names by its thumbprint, and returns how many words there are that may be one.
func (w *World) keyIDs() int {
	known := make(map[string]bool)
	for _, x := range w.texts {
		if len(x.data) > 4<<20 {
			continue // machine code
		}
		named := thumbprint.FindAllString(string(x.data), -1)
		for _, h := range jwsHeader.FindAllString(string(x.data), -1) {
			if header, err := base64.RawURLEncoding.DecodeString(h); err == nil {
				named = append(named, thumbprint.FindAllString(string(header), -1)...)
			}
		}
		for _, kid := range named {
			known[kid] = true
			w.scan.AddKeyID(kid)
		}
	}
	return len(known)
}

// control plants each secret in what came out, and must find it.
func (w *World) control() {
	w.t.Helper()
	sample := []byte(w.logs[0].log())
	sample = sample[:min(len(sample), 2000)]
	for _, p := range w.plants {
		for form, data := range p.forms {
			found := false
			for _, f := range w.scan.Scan("control", slices.Concat(sample, []byte(" "), data)) {
				found = found || f.Secret == p.name
			}
			if !found {
				w.t.Errorf("the search is blind: it doesn't find %s as %s", p.name, form)
			}
		}
	}
}
