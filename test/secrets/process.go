package secrets

import (
	"fmt"
	"os"
	"path/filepath"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/kestcmd"
	"kest.example/kest/test/fleet"
)

// Start starts the command in a folder of its own, where its temporary files
// are, too, as verbose as it and its libraries can be.
func (w *World) Start(name string, env []string, args ...string) *kestcmd.Process {
	w.t.Helper()
	dir := w.Folder(name)
	all := append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir,
		"GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99",
	}, env...)
	p := kestcmd.Start(w.t, w.binary, dir, all, args...)
	w.KeepLog("the log of "+name, p.Log.String)
	return p
}

// Agent starts kest agent on a Unix socket, where args don't choose another
// address, and returns it and its address once it listens.
func (w *World) Agent(name string, env []string, args ...string) (p *kestcmd.Process, address string) {
	w.t.Helper()
	p = w.Start(name, env, append([]string{"agent", "--listen", "unix:" + filepath.Join(w.Folder(name), "agent.sock")}, args...)...)
	address = p.Listening(w.t)
	w.pages = append(w.pages, address)
	return p, address
}

// Proxy starts kest proxy as a surface.
func (w *World) Proxy(name string, s fleet.Setup, env []string, args ...string) *fleet.Gateway {
	w.t.Helper()
	ports, err := envoytest.FreePorts(1)
	if err != nil {
		w.t.Fatal(err)
	}
	metrics := fmt.Sprintf("127.0.0.1:%d", ports[0])
	args = append([]string{
		"proxy", "--wasm", filepath.Join(envoytest.Root(), "wasm", s.Guest), "--config", w.Input(name+".json", s.Config),
		"--listen", "127.0.0.1:0", "--upstream", s.Backend.URL, "--cache", w.Folder("compiled"), "--metrics", metrics,
	}, args...)
	for target, address := range s.Clusters {
		args = append(args, "--target", target+"="+address)
	}
	if s.JWT != nil {
		args = append(args, "--jwt-issuer", s.JWT.Issuer, "--jwt-audience", s.JWT.Audience, "--jwt-jwks", w.Input(name+"-jwks.json", s.JWT.JWKS))
	}
	scheme := "http"
	if s.TLS != nil {
		args = append(args, "--tls-cert", s.TLS.Cert, "--tls-key", s.TLS.Key, "--client-ca", s.TLS.CA)
		scheme = "https"
	}
	p := w.Start(name, env, args...)
	g := &fleet.Gateway{URL: scheme + "://" + p.Listening(w.t), Log: p.Log.String}
	w.pages = append(w.pages, metrics)
	return g
}
