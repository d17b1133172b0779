//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/test/fleet"
)

// surfaces are all on which a filter runs.
func surfaces(t *testing.T) []fleet.Surface {
	dir := t.TempDir()
	return []fleet.Surface{{Name: "Envoy", Start: onEnvoy}, fleet.Callouts(dir), fleet.Functions(dir)}
}

// throttler stands before moto, which throttles nobody.
type throttler struct {
	*httptest.Server
	on    atomic.Bool
	signs atomic.Int64 // calls of kms:Sign that were let through
}

func newThrottler(t *testing.T, m *moto) *throttler {
	t.Helper()
	u, err := url.Parse(m.url())
	if err != nil {
		t.Fatal(err)
	}
	h := &throttler{}
	proxy := httputil.NewSingleHostReverseProxy(u)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		isKMS := strings.HasPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
		if isKMS && h.on.Load() {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
			return
		}
		if r.Header.Get("X-Amz-Target") == "TrentService.Sign" {
			h.signs.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *throttler) config(m *moto) sdk.Config {
	c := m.admin()
	c.BaseEndpoint = &h.URL
	return c
}

func TestKMSThrottled(t *testing.T) {
	m := startMoto(t)
	_, arn := m.key(t, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	for _, s := range surfaces(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			h := newThrottler(t, m)
			p, err := aws.Open(arn, aws.WithConfig(h.config(m)))
			if err != nil {
				t.Fatal(err)
			}
			id, err := p.Identity(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fleet.RunThrottled(t, s, id.WorkloadID, p, h.on.Store)
		})
	}
}

func TestRedisAway(t *testing.T) {
	for _, s := range surfaces(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			r := startRedis(t)
			fleet.RunCacheAway(t, s, r.open(t), r.kill, func() { r.start(t) })
		})
	}
}

// BenchmarkEntry compares an entry under a session key that KMS bound with one
// that KMS signs itself (direct mode); moto is on this machine, AWS is farther.
func BenchmarkEntry(b *testing.B) {
	m := startMoto(b)
	_, arn := m.key(b, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	p, err := aws.Open(arn, aws.WithConfig(m.admin()))
	if err != nil {
		b.Fatal(err)
	}
	for name, provider := range map[string]kest.Provider{"session": kest.NewSession(p, nil), "direct": p} {
		b.Run(name, func(b *testing.B) {
			id, err := provider.Identity(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				fleet.Entry(b, id, id.WorkloadID)
			}
		})
	}
}
