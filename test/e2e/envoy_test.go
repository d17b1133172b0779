//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/test/conformance"
)

const configuration = `{
	"workload": "spiffe://example.org/orders", "identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"},
	"authority": [],
	"policies": {"cedar": {"no-secrets": "permit(principal, action, resource) unless { resource == Resource::\"secret\" };"}},
	"routes": [{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["no-secrets"],
	"root": {"origin": "user_input"}, "resource": {"id": "{id}"}}]}`

// running is an Envoy with one filter before an upstream.
type running struct {
	*envoytest.Envoy
	backend *conformance.Backend
	url     string
}

func start(t *testing.T, filter func(t *testing.T) any, concurrency int) running {
	t.Helper()
	r := running{backend: conformance.NewBackend(t)}
	ports, err := envoytest.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	y := newYAML(ports[0])
	y.cluster("upstream", r.backend.Upstream.Listener.Addr().String())
	y.listener(ports[1], filter(t), "upstream")
	r.url = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	r.Envoy, err = envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), concurrency)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

func (r running) get(t *testing.T, path string, headers ...string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

// awaitLog waits until Envoy's log has a text: it is written behind.
func (r running) awaitLog(t *testing.T, parts ...string) {
	t.Helper()
	for range 100 {
		for line := range strings.Lines(r.Log()) {
			found := true
			for _, p := range parts {
				found = found && strings.Contains(line, p)
			}
			if found {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("no line of Envoy's log has %q:\n%s", parts, r.Log())
}

func policy(t *testing.T) any { return kestFilter(t, conformance.GuestPolicy, configuration) }

// A denial tells the client its id and no more; the log says why under the same id.
func TestRefusalIsLogged(t *testing.T) {
	r := start(t, policy, 1)
	status, header, body := r.get(t, "/orders/secret")
	if status != http.StatusForbidden || header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s %s", status, header.Get("Content-Type"), body)
	}
	var problem struct {
		DecisionID string `json:"decision_id"`
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.DecisionID == "" {
		t.Fatalf("body %s: %v", body, err)
	}
	r.awaitLog(t, problem.DecisionID, "no-secrets", "orders.read", "spiffe://example.org/orders")
	r.awaitLog(t, "access /orders/secret 403", `"allowed":false`, problem.DecisionID)
	if status, _, body = r.get(t, "/orders/7"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	r.awaitLog(t, "access /orders/7 200", `"allowed":true`, `"trust_score":40`)
}

// A refused gRPC call is a gRPC answer.
func TestRefusedGRPC(t *testing.T) {
	r := start(t, policy, 1)
	status, header, _ := r.get(t, "/orders/secret", "Content-Type", "application/grpc")
	if status != http.StatusOK || header.Get("Grpc-Status") != "7" {
		t.Errorf("%d, grpc-status %q, want 200 and 7", status, header.Get("Grpc-Status"))
	}
}

// A configuration that is wrong stops the start, and the log names the member.
func TestBadConfigurationIsRefused(t *testing.T) {
	ports, err := envoytest.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	y := newYAML(ports[0])
	y.cluster("upstream", "127.0.0.1:1")
	y.listener(ports[1], kestFilter(t, conformance.GuestPolicy, strings.Replace(configuration, `"operation"`, `"operator"`, 1)), "upstream")
	e, err := envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), 1)
	if err == nil {
		e.Stop()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "routes[0].operator: unknown member") {
		t.Errorf("the log does not name the member: %v", err)
	}
}

// trapGuest builds the guest that can be made to trap.
func trapGuest(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trap.wasm")
	build := exec.Command("go", "build", "-tags", "force64bit", "-buildmode=c-shared", "-o", out, "./test/guests/trap")
	build.Dir, build.Env = envoytest.Root(), append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// After a panic and after traps Envoy serves again by itself, and what trapped
// did not pass.
func TestServesAgainAfterTraps(t *testing.T) {
	r := start(t, func(t *testing.T) any {
		return wasmFilter("trap", trapGuest(t), map[string]any{
			"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration,
		})
	}, 1)
	if status, _, body := r.get(t, "/orders/7"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, fault := range []string{"X-Test-Panic", "X-Test-Trap: throw", "X-Test-Trap: stack", "X-Test-Trap: deadlock", "X-Test-Trap: memory"} {
		r.backend.Prepare(conformance.Case{})
		name, value, _ := strings.Cut(fault, ": ")
		status, _, body := r.get(t, "/orders/7", name, value)
		if status != http.StatusServiceUnavailable {
			t.Fatalf("%s: %d %s", fault, status, body)
		}
		if seen := r.backend.Result(&http.Response{}, nil).Upstream; seen != nil {
			t.Fatalf("%s: the upstream was visited", fault)
		}
		// The reload back-off is a second; until it is over the answer is 503, never a pass.
		served := false
		for range 50 {
			if status, _, _ = r.get(t, "/orders/7"); status == http.StatusOK {
				served = true
				break
			}
			if status != http.StatusServiceUnavailable {
				t.Fatalf("%s: %d while reloading", fault, status)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if !served {
			t.Fatalf("%s: Envoy does not serve again", fault)
		}
	}
}

// Every worker has a VM of its own and serves.
func TestFourWorkers(t *testing.T) {
	r := start(t, policy, 4)
	for i := range 40 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get(fmt.Sprintf("%s/orders/%d", r.url, i))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%d", response.StatusCode)
		}
	}
}
