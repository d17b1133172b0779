package oidc

import (
	"fmt"
	"strings"
	"testing"
)

// Whoever prints a requester, or what holds one, sees neither the bearer token
// nor the address.
func TestARequesterShowsNothing(t *testing.T) {
	r, err := newRequester("https://example.org/hunter2", "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, r) + fmt.Sprintf(verb, *r) + fmt.Sprintf(verb, []any{r, *r}) + fmt.Sprintf(verb, struct{ inner requester }{*r})
	}
	for _, bad := range []string{"hunter2", "68756e74657232"} {
		if strings.Contains(shown, bad) {
			t.Errorf("%s is in %s", bad, shown)
		}
	}
}
