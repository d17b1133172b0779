package bearer_test

import (
	"encoding/json"
	"log/slog"
	"testing"

	"kest.example/kest/keys"
)

func testLogger(s *scene) *slog.Logger { return slog.New(slog.NewTextHandler(s.log, nil)) }

func staticKeys(t *testing.T, s *scene) *keys.JWKS {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": []any{s.Default.JWK()}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := keys.NewStaticJWKS(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
