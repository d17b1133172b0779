package remote_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"kest.example/kest"
	"kest.example/kest/internal/enginetest"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/remote"
)

// The security team's policy is decided by an OPA, the service's own by Cedar in
// process. Both stand in one hook.
func ExampleOPA() {
	server := httptest.NewServer(enginetest.Says(200, `{"result":{"allow":true}}`)) // stands in for an OPA
	defer server.Close()

	security, err := remote.OPA(server.URL, nil)
	if err != nil {
		panic(err)
	}
	own, err := cedar.New(map[string]string{"orders-read": `permit(principal, action, resource) when { context.trust_score >= 40 };`}, nil)
	if err != nil {
		panic(err)
	}
	var engines kest.EngineSet
	if err := engines.Add(kest.KindOPA, security, "security/baseline"); err != nil {
		panic(err)
	}
	if err := engines.Add(kest.KindCedar, own, "orders-read"); err != nil {
		panic(err)
	}
	provider, err := kest.InsecureLocalProvider("spiffe://example.org/orders")
	if err != nil {
		panic(err)
	}
	hook, err := kest.NewHook(provider, &engines, kest.WithPolicies(kest.PolicyConfig{Enterprise: []string{"security/baseline"}}))
	if err != nil {
		panic(err)
	}
	read, err := hook.Operation(kest.Hop{Operation: "orders.read", Policies: []string{"orders-read"}, RootOrigin: "user_input"})
	if err != nil {
		panic(err)
	}
	err = read.Do(context.Background(), func(context.Context) error {
		fmt.Println("reading orders")
		return nil
	})
	fmt.Println(err)
	// Output:
	// reading orders
	// <nil>
}
