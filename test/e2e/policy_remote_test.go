//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/opa"
	"kest.example/kest/policy/remote"
)

const opaToken = "hunter3-hunter3-hunter3"

// opaModules are the policies of the server, by file.
var opaModules = map[string]string{
	"read.rego": `package orders.read
allow if { input.trust_score == 40; "kesttest" in input.subject.taints; input.environment.operation == "kesttest.read" }`,
	"other.rego": `package orders.other
allow if { input.trust_score >= 40; input.lineage.depth == 0 }`,
	"never.rego":    "package orders.never\ndefault allow := false",
	"refunds.rego":  "package kest.prod.refunds\nallow := true\ndecision := {\"permit\": true, \"refuse\": \"true\"}\nlimits := {\"eu\": 100}",
	"strange.rego":  "package strange\ntext := \"true\"\none := 1\nnothing := null\nset contains true\nobject := {\"allow\": true}\nyes := true\nno := false",
	"conflict.rego": "package conflict\nallow := true if input.trust_score >= 0\nallow := false if input.trust_score >= 0",
	"authz.rego":    "package system.authz\ndefault allow := false\nallow if input.path == [\"health\"]\nallow if input.identity == \"" + opaToken + "\"",
}

// opaServer is a running OPA, on a loopback port and on a Unix socket.
type opaServer struct {
	port int
	dir  string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

// startOPA runs the OPA that make tools fetched.
func startOPA(t testing.TB, args ...string) *opaServer {
	t.Helper()
	ports, err := envoytest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ko") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := &opaServer{port: ports[0], dir: dir, args: args}
	if err := os.Mkdir(o.path("policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range opaModules {
		if err := os.WriteFile(filepath.Join(o.path("policies"), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.start(t)
	t.Cleanup(func() { o.kill() })
	return o
}

func (o *opaServer) path(name string) string { return filepath.Join(o.dir, name) }

func (o *opaServer) url() string { return fmt.Sprintf("http://127.0.0.1:%d", o.port) }

// start waits until the server answers, at most a minute.
func (o *opaServer) start(t testing.TB) {
	t.Helper()
	binary := filepath.Join(envoytest.Root(), ".tools", "bin", "opa")
	if _, err := os.Stat(binary); err != nil {
		t.Fatal("opa is not there: run make tools")
	}
	_ = os.Remove(o.path("opa.sock"))
	o.cmd = exec.Command(binary, append([]string{
		"run", "--server", "--disable-telemetry", "--log-level", "error",
		"--addr", fmt.Sprintf("127.0.0.1:%d", o.port), "--addr", "unix://" + o.path("opa.sock"),
	}, append(o.args, o.path("policies"))...)...)
	o.log.Reset()
	o.cmd.Stdout, o.cmd.Stderr = &o.log, &o.log
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o.done = make(chan struct{})
	go func() {
		_ = o.cmd.Wait()
		close(o.done)
	}()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get(o.url() + "/health"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			o.kill()
			t.Fatalf("opa does not answer\n%s", o.log.String())
		}
	}
}

// kill ends the server at once, as a crash would.
func (o *opaServer) kill() {
	_ = o.cmd.Process.Kill()
	<-o.done
}

// open makes an engine of the server. Its time-out is one that a busy machine meets.
func (o *opaServer) open(t testing.TB, prefix, decision string, options ...remote.Option) *remote.Engine {
	t.Helper()
	codec, err := opa.New(prefix, decision)
	if err != nil {
		t.Fatal(err)
	}
	e, err := remote.OPA(o.url(), codec, append([]remote.Option{remote.WithTimeout(time.Minute)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What Kest relies on in an engine holds of a real OPA.
func TestOPAIsAnEngine(t *testing.T) {
	o := startOPA(t)
	kesttest.TestEngine(t, o.open(t, "", ""), "orders/read", "orders/never")
	kesttest.TestEngine(t, o.open(t, "", ""), "orders.read", "orders/absent")
	kesttest.TestEngine(t, o.open(t, "orders", ""), "read", "never")
	kesttest.TestEngine(t, o.open(t, "orders", "result"), "read/allow", "never/allow")
	socket, err := remote.OPA("unix:"+o.path("opa.sock"), nil, remote.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestEngine(t, socket, "orders/read", "orders/never")
}

// Each policy of a real OPA, and what it means: only the boolean true allows,
// an undefined one denies, and where OPA itself fails there is no decision.
func TestOPADecides(t *testing.T) {
	o := startOPA(t)
	c := kesttest.Context(t, "kesttest.read", "kesttest")
	for _, want := range []struct {
		prefix, decision, policy, reason string
		allow                            bool
	}{
		{"", "", "orders/read", "result.allow is true", true},
		{"", "", "orders/never", "result.allow is false", false},
		{"", "", "orders/other", "result.allow is undefined", false},
		{"", "", "orders/absent", "result.allow is undefined", false},
		{"", "", "kest.prod.refunds", "result.allow is true", true},
		{"kest/prod", "", "refunds", "result.allow is true", true},
		{"kest", "result.decision.permit", "prod/refunds", "result.decision.permit is true", true},
		{"kest", "result.decision.refuse", "prod/refunds", "result.decision.refuse is no boolean", false},
		{"kest", "result.refunds.allow", "prod", "result.refunds.allow is true", true},
		{"kest", "result.limits", "prod/refunds", "result.limits is no boolean", false},
		{"", "", "strange/yes", "result is true", true},
		{"", "result.yes", "strange", "result.yes is true", true},
		{"", "", "strange/object", "result.allow is true", true},
		{"", "", "strange/no", "result is false", false},
		{"", "", "strange/text", "result.allow is undefined", false},
		{"", "result", "strange/text", "result is no boolean", false},
		{"", "result", "strange/one", "result is no boolean", false},
		{"", "result", "strange/nothing", "result is no boolean", false},
		{"", "result", "strange/set", "result is no boolean", false},
		{"", "result", "strange/object", "result is no boolean", false},
		{"", "result", "strange", "result is no boolean", false},
	} {
		d, err := o.open(t, want.prefix, want.decision).Evaluate(context.Background(), want.policy, c)
		if err != nil || d.Allow != want.allow || d.Reason != want.reason {
			t.Errorf("%+v: %+v, %v", want, d, err)
		}
	}
	kesttest.TestEngineUnavailable(t, o.open(t, "", ""), "conflict")
}

// The decision's reason leads to OPA's own log of it.
func TestOPADecisionID(t *testing.T) {
	o := startOPA(t, "--set", "decision_logs.console=true", "--log-level", "info")
	d, err := o.open(t, "", "").Evaluate(context.Background(), "orders/read", kesttest.Context(t, "kesttest.read", "kesttest"))
	_, id, _ := strings.Cut(strings.TrimSuffix(d.Reason, ")"), "(OPA's decision ")
	o.kill()
	if err != nil || !d.Allow || len(id) != 36 || !strings.Contains(o.log.String(), id) {
		t.Errorf("%+v, %v\n%s", d, err, o.log.String())
	}
}

// An OPA that wants a token gets it, and no error shows one.
func TestOPAWithAToken(t *testing.T) {
	o := startOPA(t, "--authentication", "token", "--authorization", "basic")
	kesttest.TestEngine(t, o.open(t, "", "", remote.WithAuthorization("Bearer "+opaToken)), "orders/read", "orders/never")
	wrong := o.open(t, "", "", remote.WithAuthorization("Bearer wrong-"+opaToken))
	kesttest.TestEngineUnavailable(t, wrong, "orders/read")
	kesttest.TestEngineUnavailable(t, o.open(t, "", ""), "orders/read")
	if _, err := wrong.Evaluate(context.Background(), "orders/read", kesttest.Context(t, "kesttest.read")); err == nil || strings.Contains(err.Error(), opaToken) || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
}

// opaHook is a hook of Cedar in process and OPA, and how often its operation ran.
type opaHook struct {
	read *kest.Operation
	mu   sync.Mutex
	ran  int
}

func newOPAHook(t *testing.T, engine kest.Engine, policies ...string) *opaHook {
	t.Helper()
	local, err := cedar.New(map[string]string{"baseline": "permit(principal, action, resource);"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var set kest.EngineSet
	if err := errors.Join(set.Add(kest.KindCedar, local, "baseline"), set.Add(kest.KindOPA, engine, policies...)); err != nil {
		t.Fatal(err)
	}
	hook, err := kest.NewHook(kesttest.NewProvider(orders), &set, kest.WithPolicies(kest.PolicyConfig{Enterprise: []string{"baseline"}}))
	if err != nil {
		t.Fatal(err)
	}
	h := &opaHook{}
	h.read, err = hook.Operation(kest.Hop{Operation: "kesttest.read", Policies: policies, RootOrigin: "user_input", AddedTaints: []string{"kesttest"}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// call says who denied, if anyone did.
func (h *opaHook) call() (denied *kest.DenialError, err error) {
	err = h.read.Do(context.Background(), func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ran++
		return nil
	})
	denied, _ = errors.AsType[*kest.DenialError](err)
	return denied, err
}

// TC-07: what OPA denies doesn't run. TC-08: nor where another policy allows.
// TC-09: nor where no OPA is.
func TestOPAInAHook(t *testing.T) {
	o := startOPA(t)
	e := o.open(t, "", "")
	h := newOPAHook(t, e, "orders/read", "orders/other")
	if _, err := h.call(); err != nil || h.ran != 1 {
		t.Errorf("all allow: ran %d times, %v", h.ran, err)
	}
	for name, policies := range map[string][]string{
		"TC-07": {"orders/never"}, "TC-08": {"orders/read", "orders/never"}, "TC-08, the other way": {"orders/never", "orders/read"}, "undefined": {"orders/absent"},
	} {
		h = newOPAHook(t, e, policies...)
		denied, err := h.call()
		if h.ran != 0 || denied == nil || denied.Tier != kest.TierFunction || !slices.Contains([]string{"orders/never", "orders/absent"}, denied.Policy) ||
			errors.Is(err, kest.ErrUnavailable) || denied.Record == "" {
			t.Errorf("%s: ran %d times, %v", name, h.ran, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := remote.OPA("http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	h = newOPAHook(t, dead, "orders/read")
	if denied, err := h.call(); h.ran != 0 || denied == nil || denied.Policy != "orders/read" || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("TC-09: ran %d times, %v", h.ran, err)
	}
}

// An OPA that crashes under traffic denies nothing that it decided, allows
// nothing while it is away, and serves the same engine when it is back.
func TestOPAKilledAndRestarted(t *testing.T) {
	o := startOPA(t)
	h := newOPAHook(t, o.open(t, "", ""), "orders/read", "orders/other")
	var callers sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if denied, err := h.call(); err != nil && (denied == nil || !errors.Is(err, kest.ErrUnavailable)) {
					t.Errorf("under the crash: %v", err)
					return
				}
			}
		})
	}
	h.wait(t, "OPA serves", func(before int, _ error) bool { return before > 100 })
	o.kill()
	for range 20 {
		if denied, err := h.call(); denied == nil || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("while it is away: %v", err)
		}
	}
	o.start(t)
	h.wait(t, "OPA serves again", func(_ int, err error) bool { return err == nil })
	close(stop)
	callers.Wait()
}

// wait calls until it holds, at most a minute.
func (h *opaHook) wait(t *testing.T, what string, holds func(ran int, err error) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		_, err := h.call()
		h.mu.Lock()
		ran := h.ran
		h.mu.Unlock()
		if holds(ran, err) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s: %v", what, err)
		}
	}
}

// waitStopped waits until every thread of a process has stopped, which a signal
// takes a moment for.
func waitStopped(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		stopped := len(threads) > 0
		for _, path := range threads {
			stat, err := os.ReadFile(path)
			_, state, _ := strings.Cut(string(stat), ") ")
			stopped = stopped && (err != nil || strings.HasPrefix(state, "T"))
		}
		if stopped {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the process doesn't stop")
		}
	}
}

// An OPA that hangs costs each call its time and hinders nobody longer.
func TestOPAThatHangs(t *testing.T) {
	o := startOPA(t)
	h := newOPAHook(t, o.open(t, "", ""), "orders/read")
	if _, err := h.call(); err != nil {
		t.Fatal(err)
	}
	if err := o.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitStopped(t, o.cmd.Process.Pid)
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if _, err := h.call(); !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while it hangs: %v", err)
			}
		})
	}
	callers.Wait()
	if err := o.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "OPA serves again", func(_ int, err error) bool { return err == nil })
}

// BenchmarkOPA is a decision of a real OPA on the same machine (NF-PERF-01: p99
// at most 5 ms).
func BenchmarkOPA(b *testing.B) {
	e := startOPA(b).open(b, "", "")
	c := kesttest.Context(b, "kesttest.read", "kesttest")
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		start := time.Now()
		if d, err := e.Evaluate(context.Background(), "orders/read", c); err != nil || !d.Allow {
			b.Fatalf("%+v, %v", d, err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
