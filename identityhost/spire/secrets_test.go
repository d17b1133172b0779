package spire_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

// Neither a private key nor a token is in what is printed, encoded or logged.
func TestNoSecretsShow(t *testing.T) {
	for name, kind := range map[string]workloadtest.KeyType{"P-256": workloadtest.P256, "RSA": workloadtest.RSA2048} {
		t.Run(name, func(t *testing.T) {
			var log syncBuffer
			logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			api := serve(t, workloadtest.WithKey(kind))
			p := open(t, api, spire.WithLogger(logger), spire.WithJWTBinding())
			id := ready(t, p)
			secrets := spell(t, api.SVIDs()[0])
			bound, err := p.Bind(context.Background(), kesttest.NewProvider("key").Key())
			if err != nil {
				t.Fatal(err)
			}
			api.EditJWT(func(c map[string]any) { c["aud"] = "urn:other" })
			_, failure := p.Bind(context.Background(), kesttest.NewProvider("key").Key())
			if failure == nil {
				t.Fatal("an unfit token binds")
			}
			for _, v := range []any{p, *id, id, id.Signer, failure} {
				logger.Info("shown", "v", v)
				slog.New(slog.NewTextHandler(&log, nil)).Info("shown", "v", v)
				show(&log, v)
			}
			api.Refuse(true)
			until(t, "the refusal", func() bool { return errors.Is(p.Ready(), kest.ErrUnavailable) })
			show(&log, p.Ready())
			text := log.String()
			for _, s := range append(secrets, bound.Binding) {
				if strings.Contains(text, s) {
					t.Errorf("a secret shows: %.20s…", s)
				}
			}
		})
	}
}

func show(log *syncBuffer, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		_, _ = fmt.Fprintf(log, verb+"\n", v)
	}
	if text, err := json.Marshal(v); err == nil {
		_, _ = log.Write(text)
	}
}

// spell writes the private numbers of a key in every way that code prints numbers.
func spell(t *testing.T, svid workloadtest.SVID) []string {
	t.Helper()
	var numbers [][]byte
	switch key := svid.Key.(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		numbers = [][]byte{d}
	case *rsa.PrivateKey:
		numbers = [][]byte{key.D.Bytes(), key.Primes[0].Bytes(), key.Primes[1].Bytes()}
	}
	var all []string
	for _, n := range numbers {
		n = bytes.TrimLeft(n, "\x00")
		all = append(all, string(n), hex.EncodeToString(n), strings.ToUpper(hex.EncodeToString(n)), new(big.Int).SetBytes(n).String(),
			base64.RawStdEncoding.EncodeToString(n), base64.RawURLEncoding.EncodeToString(n), strings.Trim(fmt.Sprintf("%d", n), "[]"))
	}
	return all
}
