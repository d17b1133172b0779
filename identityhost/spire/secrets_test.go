package spire_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/logtest"
	"kest.example/kest/internal/secretscan"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

// Neither a private key nor a token is in what is printed, encoded or logged.
func TestNoSecretsShow(t *testing.T) {
	for name, kind := range map[string]workloadtest.KeyType{"P-256": workloadtest.P256, "RSA": workloadtest.RSA2048} {
		t.Run(name, func(t *testing.T) {
			var log logtest.Buffer
			logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			api := serve(t, workloadtest.WithKey(kind))
			p := open(t, api, spire.WithLogger(logger), spire.WithJWTBinding())
			id := ready(t, p)
			bound, err := p.Bind(context.Background(), kesttest.NewProvider("key").Key())
			if err != nil {
				t.Fatal(err)
			}
			scan := secretscan.New()
			scan.AddKey("the SVID's key", api.SVIDs()[0].Key)
			scan.AddToken("the JWT-SVID", bound.Binding)
			api.EditJWT(func(c map[string]any) { c["aud"] = "urn:other" })
			_, failure := p.Bind(context.Background(), kesttest.NewProvider("key").Key())
			if failure == nil {
				t.Fatal("an unfit token binds")
			}
			api.Refuse(true)
			until(t, "the refusal", func() bool { return errors.Is(p.Ready(), kest.ErrUnavailable) })
			for _, f := range scan.Scan("what shows", []byte(log.String()+secretscan.Printed(p, *id, id, id.Signer, failure, p.Ready()))) {
				t.Error(f)
			}
		})
	}
}
