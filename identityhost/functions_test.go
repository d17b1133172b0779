package identityhost_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
	"kest.example/kest/plugin/proxywasm"
)

// ask calls a function that answers with an HTTP status and JSON.
func ask(t *testing.T, functions map[string]identityhost.Function, name string, argument []byte) (status int, body map[string]any) {
	t.Helper()
	b, s := functions[name](context.Background(), argument)
	if s != proxywasm.OK || len(b) < 2 {
		t.Fatalf("%s: %v, %d bytes", name, s, len(b))
	}
	if len(b) > 2 {
		if err := json.Unmarshal(b[2:], &body); err != nil {
			t.Fatalf("%s: %s: %v", name, b[2:], err)
		}
	}
	return int(binary.LittleEndian.Uint16(b)), body
}

// A filter in this process gets by functions what a proxy gets from the agent.
func TestAgentFunctions(t *testing.T) {
	const workload = "spiffe://example.org/orders"
	provider := kesttest.NewProvider(workload)
	for inline, options := range map[bool][]identityhost.AgentOption{false: nil, true: {identityhost.WithLocalBindings()}} {
		agent, err := identityhost.NewAgent(provider, kest.StaticKeys{}, newCache(), options...)
		if err != nil {
			t.Fatal(err)
		}
		functions := identityhost.New(nil).AgentFunctions(agent)
		key, err := kest.SeedIdentity("unbound", []byte("a seed of thirty-two bytes, 0123"))
		if err != nil {
			t.Fatal(err)
		}
		proof, err := key.ProveKey(context.Background(), uuid, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		status, bound := ask(t, functions, bindKey, []byte(proof))
		if status != 200 || bound["workload_id"] != workload || bound["kid"] != key.Key.Thumbprint() {
			t.Fatalf("%d %v", status, bound)
		}
		if (bound["inline"] == true) != inline {
			t.Errorf("a cache of this process alone is %v, and the binding inline %v", inline, bound["inline"])
		}
		if status, _ := ask(t, functions, bindKey, []byte(proof)); status != 401 {
			t.Errorf("a replayed proof is %d", status)
		}
		question := func(members map[string]any) []byte {
			b, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		status, found := ask(t, functions, findKey, question(map[string]any{"principal": workload, "kid": key.Key.Thumbprint()}))
		if status != 200 || found["principal"] != workload || found["binding"] != bound["binding"] {
			t.Errorf("by kid: %d %v", status, found)
		}
		status, found = ask(t, functions, findKey, question(map[string]any{"principal": workload, "binding": bound["binding"]}))
		if status != 200 || found["principal"] != workload {
			t.Errorf("by binding: %d %v", status, found)
		}
		for want, argument := range map[int][]byte{
			404: question(map[string]any{"principal": "spiffe://example.org/other", "kid": key.Key.Thumbprint()}),
			400: []byte("{"),
			403: question(map[string]any{"principal": "spiffe://example.org/other", "binding": bound["binding"]}),
		} {
			if status, body := ask(t, functions, findKey, argument); status != want || body != nil {
				t.Errorf("%s: %d %v, want %d", argument, status, body, want)
			}
		}
	}
}

func TestSignES256(t *testing.T) {
	d := make([]byte, 32)
	d[31] = 7
	signature, status := call(t, identityhost.New(nil), signES256, append(d, "input"...))
	if status != proxywasm.OK || !jws.IsLowS(signature) {
		t.Errorf("%x %v", signature, status)
	}
	for _, bad := range [][]byte{nil, d[:31], make([]byte, 40)} {
		if signature, status := call(t, identityhost.New(nil), signES256, bad); status != proxywasm.BadArgument || signature != nil {
			t.Errorf("%x: %x %v", bad, signature, status)
		}
	}
}
