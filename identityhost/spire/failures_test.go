package spire_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/logtest"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

// While the API is away the SVID goes on; when it comes back, it is followed again.
func TestAPIGoneAndBack(t *testing.T) {
	api := serve(t)
	p := open(t, api)
	before := ready(t, p)
	api.Stop()
	kesttest.TestProvider(t, p)
	if err := p.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
	api.RotateSVID()
	updated := p.Updated()
	start(t, api)
	await(t, updated)
	if after := ready(t, p); after.Key.Thumbprint() == before.Key.Thumbprint() {
		t.Error("the SVID is the old one")
	}
	kesttest.TestProvider(t, p)
}

// An SVID that ran out while the API was away is not used; the next one is.
func TestExpiresWhileGone(t *testing.T) {
	api := serve(t, workloadtest.WithTTL(2*time.Second))
	p := open(t, api)
	key := kesttest.NewProvider(orders).Key()
	ready(t, p)
	api.Stop()
	until(t, "the end of the SVID", func() bool { return errors.Is(p.Ready(), spire.ErrExpired) })
	kesttest.TestProviderNotReady(t, p)
	if _, err := p.Bind(context.Background(), key); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("Bind: %v", err)
	}
	api.SetTTL(time.Hour)
	start(t, api)
	ready(t, p)
	kesttest.TestProvider(t, p)
}

// An SVID that has expired when it is issued is not used.
func TestIssuedExpired(t *testing.T) {
	api := serve(t, workloadtest.WithTTL(-time.Second))
	p := open(t, api)
	until(t, "an SVID", func() bool { return errors.Is(p.Ready(), spire.ErrExpired) })
	kesttest.TestProviderNotReady(t, p)
	api.SetTTL(time.Hour)
	api.RotateSVID()
	ready(t, p)
	api.SetTTL(-time.Second)
	api.RotateSVID()
	until(t, "the expired SVID", func() bool { return errors.Is(p.Ready(), spire.ErrExpired) })
}

// A workload without a registration entry has no identity; one that loses its
// entry loses its SVID at once, whatever its life.
func TestNoIdentity(t *testing.T) {
	api := serve(t)
	api.Refuse(true)
	p := open(t, api)
	until(t, "the refusal", func() bool { return errors.Is(p.Ready(), spire.ErrNoIdentity) })
	kesttest.TestProviderNotReady(t, p)
	api.Refuse(false)
	ready(t, p)
	updated := p.Updated()
	api.Refuse(true)
	await(t, updated)
	if err := p.Ready(); !errors.Is(err, spire.ErrNoIdentity) || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("Ready: %v", err)
	}
	kesttest.TestProviderNotReady(t, p)
}

// No answer of the API ends the watch, not even those at which go-spiffe's own
// gives up; the SVID stays meanwhile.
func TestErrorsEnd(t *testing.T) {
	api := serve(t)
	p := open(t, api, spire.OnBundles(func(bundleList) {}))
	for _, code := range []codes.Code{codes.Canceled, codes.InvalidArgument, codes.Unimplemented, codes.Internal} {
		before := ready(t, p)
		api.Fail(code)
		until(t, "the end of the streams", func() bool { return api.Streams() == 0 })
		if err := p.Ready(); err != nil {
			t.Errorf("%v: %v", code, err)
		}
		api.RotateSVID()
		api.Fail(codes.OK)
		until(t, "the SVID after "+code.String(), func() bool { return ready(t, p) != before })
	}
}

// An answer that is none leaves the SVID that is there.
func TestBadAnswer(t *testing.T) {
	var log logtest.Buffer
	api := serve(t)
	p := open(t, api, spire.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	before := ready(t, p)
	good, other := api.CA().Issue(workloadtest.Request{ID: orders}), api.CA().Issue(workloadtest.Request{ID: orders})
	good.Key = other.Key
	api.Push(good)
	until(t, "a complaint", func() bool { return strings.Contains(log.String(), "level=WARN") })
	if id, err := p.Identity(context.Background()); err != nil || id != before {
		t.Errorf("Identity: %v", err)
	}
	api.Push(other)
	until(t, "the good SVID", func() bool { return ready(t, p) != before })
}
