// Package emulator_test runs the filters in a host that this project has no part
// in: proxytest, the emulator of proxy-wasm-go-sdk. What our own host and
// Envoy read into the ABI in the same wrong way would show here.
//
// Where the emulator is not like Envoy 1.40:
//
//   - It calls _start and not _initialize, which would leave Go's runtime
//     unstarted; start mends that.
//   - A foreign function that it doesn't have ends the process instead of being
//     NotFound, and one that it has never fails, so all that the filters ask
//     for are there.
//   - Of repeated headers it removes only the first, and it adds a value by
//     gluing it to the one that is there, so no allowed request has two baggage headers here.
//     It does hand over all of them as pairs, and a refusal of two is tested.
//   - It delivers neither answers to callouts nor proxy_on_delete to a .wasm.
//   - Its clock stands in 2022 (wazero's default).
package emulator_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"log"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/kesttest"
	"kest.example/kest/wasm"
)

// quiet drops what the emulator writes of each call, and keeps why it gave up.
type quiet struct{}

func (quiet) Write(line []byte) (int, error) {
	for _, noise := range []string{"proxy_", "[foreign call]", "[http callout"} {
		if bytes.Contains(line, []byte(noise)) {
			return len(line), nil
		}
	}
	return os.Stderr.Write(line)
}

func TestMain(m *testing.M) {
	log.SetOutput(quiet{})
	os.Exit(m.Run())
}

// start adds an export _start of the function that is exported as _initialize.
func start(t *testing.T, module []byte) []byte {
	t.Helper()
	out, rest := slices.Clone(module[:8]), module[8:]
	for len(rest) > 0 {
		size, n := binary.Uvarint(rest[1:])
		body := rest[1+n : 1+n+int(size)]
		if rest[0] == 7 { // the export section
			at := bytes.Index(body, []byte("\x0b_initialize\x00"))
			if at < 0 {
				t.Fatal("the filter exports no _initialize")
			}
			function, _ := binary.Uvarint(body[at+13:])
			count, m := binary.Uvarint(body)
			changed := append(binary.AppendUvarint(nil, count+1), body[m:]...)
			body = binary.AppendUvarint(append(changed, "\x06_start\x00"...), function)
		}
		out = binary.AppendUvarint(append(out, rest[0]), uint64(len(body)))
		out = append(out, body...)
		rest = rest[1+n+int(size):]
	}
	return out
}

// emulator is a filter that runs in the emulator.
type emulator struct {
	t *testing.T
	proxytest.HostEmulator
}

// newEmulator starts a filter; ok is whether it took its configuration.
func newEmulator(t *testing.T, read func() ([]byte, error), configuration string) (e *emulator, ok bool) {
	t.Helper()
	module, err := read()
	if err != nil {
		t.Fatal(err)
	}
	vm, err := proxytest.NewWasmVMContext(start(t, module))
	if err != nil {
		t.Fatal(err)
	}
	host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().WithVMContext(vm).WithPluginConfiguration([]byte(configuration)))
	t.Cleanup(func() {
		reset()
		if err := vm.Close(); err != nil {
			t.Error(err)
		}
	})
	host.RegisterForeignFunction("kest.random", func(count []byte) []byte {
		b := make([]byte, max(1, binary.LittleEndian.Uint32(count)))
		if _, err := rand.Read(b); err != nil {
			t.Error(err)
		}
		return b
	})
	for name, f := range identityhost.New(nil).Functions() {
		host.RegisterForeignFunction(name, func(argument []byte) []byte {
			out, status := f(context.Background(), argument)
			if status != 0 {
				t.Errorf("%s: %v", name, status)
			}
			return append(slices.Grow(out, 1), []byte{0}[min(1, len(out)):]...)
		})
	}
	host.RegisterForeignFunction("kest.claim_get", func([]byte) []byte { return []byte("no claim is there") })
	host.RegisterForeignFunction("compress", func(text []byte) []byte {
		var out bytes.Buffer
		w := zlib.NewWriter(&out)
		_, _ = w.Write(text)
		_ = w.Close()
		return out.Bytes()
	})
	if !host.StartVM() {
		t.Fatal("the VM doesn't start")
	}
	return &emulator{t, host}, bool(host.StartPlugin())
}

// outcome is what became of a request.
type outcome struct {
	action  types.Action
	local   *proxytest.LocalHttpResponse
	body    string
	headers [][2]string
	verdict map[string]any
	onward  types.Action // of the body
}

func (e *emulator) request(method, path string, headers ...[2]string) (o outcome) {
	e.t.Helper()
	id := e.InitializeHttpContext()
	all := append([][2]string{{":method", method}, {":path", path}, {":authority", "orders.example.org"}}, headers...)
	o.action = e.CallOnRequestHeaders(id, all, false)
	if o.local = e.GetSentLocalResponse(id); o.local != nil {
		o.body = string(slices.Clone(o.local.Data)) // a view of the filter's memory
	}
	if text, err := e.GetProperty([]string{"kest.verdict"}); err == nil {
		if err := json.Unmarshal(text, &o.verdict); err != nil {
			e.t.Errorf("the verdict is %q", text)
		}
	}
	for _, h := range e.GetCurrentRequestHeaders(id) {
		o.headers = append(o.headers, [2]string{strings.Clone(h[0]), strings.Clone(h[1])})
	}
	o.onward = e.CallOnRequestBody(id, []byte("body"), true)
	e.CompleteHttpContext(id)
	return o
}

func (o outcome) header(name string) (values []string) {
	for _, h := range o.headers {
		if h[0] == name {
			values = append(values, h[1])
		}
	}
	return values
}

// refused fails unless the request was answered with the status, as CONTRACT 7 says.
func (e *emulator) refused(o outcome, status uint32, grpc int32) {
	e.t.Helper()
	if o.action != types.ActionPause || o.onward != types.ActionPause || o.local == nil {
		e.t.Fatalf("headers %v, body %v, answer %+v", o.action, o.onward, o.local)
	}
	var problem struct {
		DecisionID string `json:"decision_id"`
		Status     uint32 `json:"status"`
	}
	if err := json.Unmarshal([]byte(o.body), &problem); err != nil || problem.Status != status || len(problem.DecisionID) != 36 {
		e.t.Errorf("the body is %q", o.body)
	}
	if o.local.StatusCode != status || o.local.GRPCStatus != grpc ||
		!slices.Contains(o.local.Headers, [2]string{"content-type", "application/problem+json"}) {
		e.t.Errorf("answer %+v, want %d; log %q", o.local, status, e.GetWarnLogs())
	}
	if o.verdict["allowed"] != false || o.verdict["decision_id"] != problem.DecisionID {
		e.t.Errorf("verdict %v", o.verdict)
	}
}

func (e *emulator) passes(o outcome) {
	e.t.Helper()
	if o.action != types.ActionContinue || o.onward != types.ActionContinue || o.local != nil {
		e.t.Fatalf("headers %v, body %v, answer %+v, log %q %q", o.action, o.onward, o.local, e.GetWarnLogs(), e.GetCriticalLogs())
	}
	if o.verdict["allowed"] != true {
		e.t.Errorf("verdict %v", o.verdict)
	}
}

const orders = "spiffe://example.org/orders"

var (
	edge  = kesttest.NewProvider("spiffe://example.org/edge")
	agent = kesttest.NewProvider("spiffe://example.org/agent")
)

func configuration() string {
	return `{"workload": "` + orders + `", "identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"},
		"keys": {"static": [{"principal": "` + edge.Workload() + `", "jwk": ` + edge.Key().JWK() + `}, {"principal": "` + agent.Workload() + `", "jwk": ` + agent.Key().JWK() + `}]},
		"authority": [{"principal": "` + edge.Workload() + `", "origins": ["user_input"], "max_root_trust": 40}],
		"policies": {"cedar": {"no-agent": "permit(principal, action, resource) unless { context.lineage.principals.contains(\"` + agent.Workload() + `\") };",
			"any": "permit(principal, action, resource);"}},
		"routes": [{"match": {"methods": ["POST"], "path": "/ask"}, "operation": "ask", "policies": ["any"], "root": {"origin": "user_input"}},
			{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["no-agent"], "resource": {"id": "{id}"}}]}`
}

func carry(p kest.Passport) [2]string {
	return [2]string{"baggage", baggage.Passport + "=" + url.PathEscape(p.String())}
}

// lineage verifies what the request carries on.
func (e *emulator) lineage(o outcome, authority kest.Authority) *kest.Lineage {
	e.t.Helper()
	in, err := baggage.Parse(o.header("baggage"), baggage.ReadOptions{})
	if err != nil {
		e.t.Fatalf("%v: %v", o.headers, err)
	}
	id, err := kest.SeedIdentity(orders, []byte(strings.Repeat("o", 32)))
	if err != nil {
		e.t.Fatal(err)
	}
	keys := kesttest.StaticKeys(edge, agent)
	keys[orders] = []kest.PublicKey{id.Key}
	verifier, err := kest.NewVerifier(keys, authority, kest.WithSchema(kest.SchemaStrict))
	if err != nil {
		e.t.Fatal(err)
	}
	l, err := verifier.Verify(context.Background(), in.Passport)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := in.CheckTip(l); err != nil {
		e.t.Error(err)
	}
	return l
}

func grant(principal string) kest.Authority {
	return kest.Authority{{Principal: kest.Pattern(principal), Origins: []string{"user_input"}, MaxRootTrust: 40}}
}

func TestPolicy(t *testing.T) {
	e, ok := newEmulator(t, wasm.Policy, configuration())
	if !ok {
		t.Fatalf("the configuration is refused: %q", e.GetCriticalLogs())
	}
	t.Run("a root", func(t *testing.T) {
		e := &emulator{t, e.HostEmulator}
		o := e.request("POST", "/ask", [2]string{"x-app", "1"})
		e.passes(o)
		l := e.lineage(o, grant(orders))
		if l.Len() != 1 || l.Trust() != 40 || l.Entries()[0].Operation != "ask" || o.verdict["decision_id"] != l.Entries()[0].EntryID {
			t.Errorf("%+v, verdict %v", l.Entries(), o.verdict)
		}
		if len(o.header("traceparent")) != 1 || !slices.Equal(o.header("x-app"), []string{"1"}) || len(o.headers) != 6 {
			t.Errorf("headers %v", o.headers)
		}
	})
	t.Run("a hop", func(t *testing.T) {
		e := &emulator{t, e.HostEmulator}
		sent := kesttest.Lineage(t, edge).Passport()
		trace := [2]string{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		header := carry(sent)
		header[1] += ",other=kept;p=1"
		o := e.request("GET", "/orders/7", header, trace)
		e.passes(o)
		l := e.lineage(o, grant(edge.Workload()))
		if l.Len() != 2 || l.Passport().Entries()[0] != sent.Entries()[0] || l.Entries()[1].Labels[kest.LabelTraceID] != trace[1][3:35] || l.Entries()[1].Labels["kest.resource_id"] != "7" {
			t.Errorf("%+v", l.Entries()[l.Len()-1])
		}
		if !strings.Contains(o.header("baggage")[0], "other=kept;p=1") || !slices.Equal(o.header("traceparent"), []string{trace[1]}) {
			t.Errorf("headers %v", o.headers)
		}
	})
	t.Run("a long lineage is compressed", func(t *testing.T) {
		e := &emulator{t, e.HostEmulator}
		o := e.request("GET", "/orders/7", carry(kesttest.Lineage(t, edge, edge, edge, edge).Passport()))
		e.passes(o)
		if l := e.lineage(o, grant(edge.Workload())); l.Len() != 5 || !strings.Contains(o.header("baggage")[0], baggage.PassportZ+"=") {
			t.Errorf("%d entries in %.80s", l.Len(), o.header("baggage")[0])
		}
	})
	e.refusals(t, true)
}

// refusals are what both filters refuse; policies are asked by one of them only.
func (e *emulator) refusals(t *testing.T, decides bool) {
	good := kesttest.Lineage(t, edge).Passport()
	two := kesttest.Lineage(t, edge, agent).Passport()
	tampered := []byte(two.Entries()[1])
	tampered[len(tampered)/2] ^= 1
	root := kesttest.Lineage(t, agent).Passport()
	encoded := url.PathEscape(good.String())
	for name, c := range map[string]struct {
		path    string
		headers [][2]string
		status  uint32
		grpc    int32
	}{
		"no passport":                {"/orders/7", nil, 403, 7},
		"no route":                   {"/other", [][2]string{carry(good)}, 403, 7},
		"a dot segment":              {"/orders/../admin", [][2]string{carry(good)}, 400, 3},
		"an encoded slash":           {"/orders/a%2fb", [][2]string{carry(good)}, 400, 3},
		"two carriers":               {"/orders/7", [][2]string{{"baggage", "kest.passport=" + encoded + ",kest.passport_z=eJyLjgUAARUAuQ"}}, 400, 3},
		"two carriers, two headers":  {"/orders/7", [][2]string{carry(good), {"baggage", "kest.passport=%5B%5D"}}, 400, 3},
		"no JSON":                    {"/orders/7", [][2]string{{"baggage", "kest.passport=%5B"}}, 400, 3},
		"tampered with":              {"/orders/7", [][2]string{carry(kest.NewPassport(two.Entries()[0], string(tampered)))}, 403, 7},
		"cut at the front":           {"/orders/7", [][2]string{carry(kest.NewPassport(two.Entries()[1]))}, 403, 7},
		"cut at the end":             {"/orders/7", [][2]string{{"baggage", carry(good)[1] + ",kest.chain_tip=" + kest.Hash(two.Entries()[1])}}, 403, 7},
		"a root that may not be one": {"/orders/7", [][2]string{carry(root)}, 403, 7},
	} {
		t.Run(name, func(t *testing.T) {
			e := &emulator{t, e.HostEmulator}
			e.refused(e.request("GET", c.path, c.headers...), c.status, c.grpc)
		})
	}
	t.Run("what a policy forbids", func(t *testing.T) {
		e := &emulator{t, e.HostEmulator}
		if o := e.request("GET", "/orders/7", carry(two)); decides {
			e.refused(o, 403, 7)
		} else {
			e.passes(o)
		}
	})
}

// lineage.wasm verifies and refuses; what goes on is as it came.
func TestLineage(t *testing.T) {
	e, ok := newEmulator(t, wasm.Lineage, configuration())
	if !ok {
		t.Fatalf("the configuration is refused: %q", e.GetCriticalLogs())
	}
	t.Run("verifies", func(t *testing.T) {
		e := &emulator{t, e.HostEmulator}
		header := carry(kesttest.Lineage(t, edge, agent).Passport())
		o := e.request("GET", "/orders/7", header)
		e.passes(o)
		if !slices.Equal(o.header("baggage"), []string{header[1]}) || o.verdict["entries"] != 2.0 || o.verdict["trust_score"] != 40.0 {
			t.Errorf("headers %v, verdict %v", o.headers, o.verdict)
		}
	})
	e.refusals(t, false)
}

// A configuration that is wrong is refused by the filter, and the log says where.
func TestBadConfiguration(t *testing.T) {
	for name, read := range map[string]func() ([]byte, error){"policy": wasm.Policy, "lineage": wasm.Lineage} {
		t.Run(name, func(t *testing.T) { // one emulator at a time
			e, ok := newEmulator(t, read, strings.Replace(configuration(), `"authority"`, `"authorities"`, 1))
			if ok || !slices.ContainsFunc(e.GetCriticalLogs(), func(l string) bool { return strings.Contains(l, "authorities") }) {
				t.Errorf("started %v, log %q", ok, e.GetCriticalLogs())
			}
		})
	}
}
