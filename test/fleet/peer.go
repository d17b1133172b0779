package fleet

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kest.example/kest/internal/workloadtest"
)

// TLS are PEM files of an SVID, and of the roots that peers are held against.
type TLS struct {
	Cert, Key, CA string
	Config        *tls.Config // the same for a Go server or client
}

// TLS writes an SVID of a workload of the fleet's.
func (f *Fleet) TLS(id string) *TLS {
	f.t.Helper()
	dir := f.t.TempDir()
	svid := f.CA.Issue(workloadtest.Request{ID: id, Edit: func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }})
	key, err := x509.MarshalPKCS8PrivateKey(svid.Key)
	if err != nil {
		f.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	var chain, roots []byte
	certificate := tls.Certificate{PrivateKey: svid.Key}
	for _, c := range svid.Chain {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	for _, c := range f.CA.Roots() {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		pool.AddCert(c)
	}
	files := &TLS{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem"),
		Config: &tls.Config{
			Certificates: []tls.Certificate{certificate}, RootCAs: pool, ClientCAs: pool,
			ClientAuth: tls.RequireAndVerifyClientCert, ServerName: "localhost", MinVersion: tls.VersionTLS12,
		},
	}
	for name, text := range map[string][]byte{
		files.Cert: chain, files.CA: roots, files.Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	return files
}

// client of a workload, by mTLS.
func (f *Fleet) client(id string) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: f.TLS(id).Config}}
}

// RunPeer runs the peer rule (CONTRACT 3.9): what arrives over mTLS must end in
// entries of the workload at the other end.
func RunPeer(t *testing.T, s Surface) {
	f := New(t)
	orders, gw, other := f.Workload("orders", nil).Serve(), f.Workload("gw", nil), f.Workload("other", nil)
	st := setup(t, orders, "")
	st.TLS = f.TLS(orders.ID)
	g := s.Start(t, st)
	mine, stolen := Root(t, gw.Registered()), Root(t, other.Registered())
	g.Client = f.client(gw.ID)
	g.want(t, 200, "the peer's own", "Baggage", mine)
	g.want(t, 403, "stolen", "Baggage", stolen)
	g.want(t, 200, "no passport")
	g.want(t, 403, "another leaf beside the peer's own", "Baggage", Baggage(append(entries(mine), entries(stolen)...)...))
	g.Client = f.client("spiffe://elsewhere.example/somebody") // an SVID that no authority knows as a signer
	g.want(t, 200, "a peer that signs nothing, such as a gateway", "Baggage", mine)
}
