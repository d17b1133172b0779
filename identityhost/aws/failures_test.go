package aws_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/kesttest"
)

// attempt runs an operation under a provider and says whether its body ran.
func attempt(t *testing.T, p kest.Provider) (ran bool, err error) {
	t.Helper()
	h, err := kest.NewHook(p, kest.AllowAll())
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.Operation(kest.Hop{Operation: "x", RootOrigin: "internal", Policies: []string{"any"}})
	if err != nil {
		t.Fatal(err)
	}
	err = o.Do(context.Background(), func(context.Context) error { ran = true; return nil })
	return ran, err
}

// Whatever AWS answers, at whichever call, the operation doesn't run; and when
// AWS answers well again, it runs, by the same provider. permanent is what
// waiting alone doesn't mend.
func TestRefusals(t *testing.T) {
	for code, c := range map[string]struct {
		status    int
		permanent bool
	}{
		"ThrottlingException":         {400, false},
		"LimitExceededException":      {400, false},
		"KMSInvalidStateException":    {400, false},
		"KeyUnavailableException":     {500, false},
		"DependencyTimeoutException":  {500, false},
		"KMSInternalException":        {500, false},
		"ServiceUnavailable":          {503, false},
		"SomethingNew":                {400, false},
		"NotFoundException":           {400, true},
		"DisabledException":           {400, true},
		"AccessDeniedException":       {400, true},
		"InvalidKeyUsageException":    {400, true},
		"ExpiredTokenException":       {400, true},
		"UnrecognizedClientException": {400, true},
	} {
		for _, operation := range []string{"GetPublicKey", "Sign"} {
			s := newServer(t)
			p := open(t, s, s.add("ECC_NIST_P256"))
			s.set(operation, refuse(code, c.status))
			ran, err := attempt(t, p)
			if ran || !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrConfiguration) != c.permanent {
				t.Errorf("%s of %s: ran %v, %v", code, operation, ran, err)
			}
			refusal, ok := errors.AsType[*aws.Error](err)
			if !ok || refusal.Code != code || refusal.Call != "kms:"+operation || refusal.Status != c.status || refusal.Detail == "" {
				t.Errorf("%s of %s: %+v", code, operation, refusal)
			}
			s.set(operation, nil)
			eventually(t, operation+" works after "+code, func() bool {
				ran, _ := attempt(t, p)
				return ran
			})
		}
	}
}

func TestRefusalsOfSTS(t *testing.T) {
	for code, permanent := range map[string]bool{
		"Throttling": false, "AccessDenied": true, "InvalidClientTokenId": true, "ExpiredToken": true, "SignatureDoesNotMatch": true,
	} {
		s := newServer(t)
		p := open(t, s, s.add("ECC_NIST_P256"))
		s.set("GetCallerIdentity", refuseQuery(code, http.StatusForbidden))
		_, err := p.Identity(context.Background())
		refusal, ok := errors.AsType[*aws.Error](err)
		if !ok || refusal.Code != code || refusal.Call != "sts:GetCallerIdentity" || errors.Is(err, kest.ErrConfiguration) != permanent {
			t.Errorf("%s: %v", code, err)
		}
		kesttest.TestProviderNotReady(t, p)
		s.set("GetCallerIdentity", nil)
		eventually(t, "ready after "+code, func() bool { _, err := p.Identity(context.Background()); return err == nil })
	}
}

// A workload without credentials, or whose source of them is refused, is told so.
func TestCredentialsThatFail(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	for name, c := range map[string]struct {
		source    sdk.CredentialsProvider
		code      string
		permanent bool
	}{
		"none": {nil, "", false},
		"a source that is late": {sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{}, io.ErrUnexpectedEOF
		}), "", false},
		"a role that is refused": {sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{}, &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}
		}), "AccessDenied", true},
	} {
		config := s.config()
		config.Credentials = c.source
		p, err := aws.Open(keyID, aws.WithConfig(config))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Identity(context.Background())
		refusal, ok := errors.AsType[*aws.Error](err)
		if !ok || refusal.Call != "credentials" || refusal.Code != c.code || errors.Is(err, kest.ErrConfiguration) != c.permanent {
			t.Errorf("%s: %v", name, err)
		}
		kesttest.TestProviderNotReady(t, p)
	}
	if n := s.count("GetPublicKey") + s.count("GetCallerIdentity"); n != 0 {
		t.Errorf("%d calls without credentials", n)
	}
}

// While AWS throttles, callers get the last answer instead of making it worse,
// and a call is repeated once at most.
func TestThrottlingIsNotMadeWorse(t *testing.T) {
	s := newServer(t)
	c := s.config()
	c.RetryMaxAttempts = 10
	p, err := aws.Open(s.add("ECC_NIST_P256"), aws.WithConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	s.set("GetPublicKey", refuse("ThrottlingException", http.StatusBadRequest))
	for range 1000 {
		if _, err := p.Identity(context.Background()); !errors.Is(err, kest.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
	}
	if n := s.count("GetPublicKey"); n > 100 {
		t.Errorf("1000 callers made %d calls", n)
	}
	s.set("GetPublicKey", nil)
	eventually(t, "ready", func() bool { _, err := p.Identity(context.Background()); return err == nil })
	s.set("Sign", refuse("ThrottlingException", http.StatusBadRequest))
	if _, err := identity(t, p).Signer.Sign(context.Background(), []byte("x")); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := s.count("Sign"); n != 2 {
		t.Errorf("one signature made %d calls", n)
	}
}

// An answer that doesn't come ends by the provider's time-out, or when the
// caller's time is over, whichever is first.
func TestSlowAnswers(t *testing.T) {
	s := newServer(t)
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) }) // before the server closes, which waits for its handlers
	slow := func(http.ResponseWriter, *http.Request) { <-ended }
	keyID := s.add("ECC_NIST_P256")
	ready := open(t, s, keyID, aws.WithTimeout(50*time.Millisecond))
	id := identity(t, ready)
	for _, operation := range []string{"Sign", "GetPublicKey", "GetCallerIdentity"} {
		s.set(operation, slow)
	}
	if _, err := id.Signer.Sign(context.Background(), []byte("x")); !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Sign: %v", err)
	}
	short := open(t, s, keyID, aws.WithTimeout(50*time.Millisecond))
	if _, err := short.Identity(context.Background()); !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Identity: %v", err)
	}
	long := open(t, s, keyID, aws.WithTimeout(time.Hour))
	kesttest.TestProviderNotReady(t, long)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := long.Identity(ctx); !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that went away: %v", err)
	}
	if _, err := id.Signer.Sign(ctx, []byte("x")); !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that went away: %v", err)
	}
}

// A service that is away is unavailable, and comes back without a restart.
func TestAway(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	c := s.config()
	dead := "http://127.0.0.1:1"
	c.BaseEndpoint = &dead
	p, err := aws.Open(keyID, aws.WithConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestProviderNotReady(t, p)
	s.set("GetPublicKey", func(w http.ResponseWriter, _ *http.Request) {
		if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = connection.Close()
		}
	})
	cut := open(t, s, keyID)
	if _, err := cut.Identity(context.Background()); !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("connections that end early: %v", err)
	}
	s.set("GetPublicKey", nil)
	eventually(t, "ready", func() bool { _, err := cut.Identity(context.Background()); return err == nil })
}

// Keys that Kest can't sign under are a matter of configuration.
func TestUnfitKeys(t *testing.T) {
	for name, c := range map[string]struct {
		spec   string
		change func(*kmsKey)
	}{
		"for encryption":   {"RSA_2048", func(k *kmsKey) { k.usage = "ENCRYPT_DECRYPT" }},
		"for an agreement": {"ECC_NIST_P256", func(k *kmsKey) { k.usage = "KEY_AGREEMENT" }},
		"P-384":            {"ECC_NIST_P384", func(*kmsKey) {}},
		"RSA of 1024 bits": {"RSA_1024", func(*kmsKey) {}},
	} {
		s := newServer(t)
		keyID := s.add(c.spec)
		s.change(keyID, c.change)
		p := open(t, s, keyID)
		id, err := p.Identity(context.Background())
		if id != nil || !errors.Is(err, kest.ErrConfiguration) || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if ran, _ := attempt(t, p); ran {
			t.Errorf("%s: the operation ran", name)
		}
	}
	s := newServer(t)
	id := s.add("ECC_NIST_P256")
	m := s.keys[id].describe(t)
	m["KeySpec"], m["PublicKey"] = "ECC_SECG_P256K1", []byte("what Go can't read")
	s.set("GetPublicKey", answer(m))
	if _, err := open(t, s, id).Identity(context.Background()); !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("secp256k1: %v", err)
	}
}

// Answers that are none leave the provider not ready.
func TestBrokenAnswers(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	without := func(name string, value any) http.HandlerFunc {
		m := s.keys[keyID].describe(t)
		if m[name] = value; value == nil {
			delete(m, name)
		}
		return answer(m)
	}
	for name, c := range map[string]struct {
		operation string
		answer    http.HandlerFunc
	}{
		"half JSON":          {"GetPublicKey", raw(`{"KeyId":"arn:aws:kms:`)},
		"nothing":            {"GetPublicKey", raw(``)},
		"an empty object":    {"GetPublicKey", raw(`{}`)},
		"no usage":           {"GetPublicKey", without("KeyUsage", nil)},
		"no key":             {"GetPublicKey", without("PublicKey", nil)},
		"half a key":         {"GetPublicKey", without("PublicKey", s.keys[keyID].describe(t)["PublicKey"].([]byte)[:50])},
		"of another spec":    {"GetPublicKey", without("KeySpec", "RSA_2048")},
		"of no known spec":   {"GetPublicKey", without("KeySpec", "RSA_9")},
		"numbers":            {"GetPublicKey", without("KeyId", 7)},
		"far too long":       {"GetPublicKey", without("Padding", strings.Repeat("x", 2<<20))},
		"half XML":           {"GetCallerIdentity", raw(`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn`)},
		"no XML":             {"GetCallerIdentity", raw(`{}`)},
		"no result":          {"GetCallerIdentity", raw(`<GetCallerIdentityResponse/>`)},
		"no ARN":             {"GetCallerIdentity", callerIs("", account)},
		"no account":         {"GetCallerIdentity", callerIs(session, "")},
		"another account":    {"GetCallerIdentity", callerIs(session, "999999999999")},
		"an endless answer":  {"GetCallerIdentity", endless},
		"an error in no way": {"GetCallerIdentity", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }},
	} {
		s.set(c.operation, c.answer)
		id, err := open(t, s, keyID).Identity(context.Background())
		if id != nil || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s is a matter of configuration: %v", name, err)
		}
		s.set(c.operation, nil)
	}
}

// endless answers until its client hangs up.
func endless(w http.ResponseWriter, _ *http.Request) {
	_, err := io.WriteString(w, "<GetCallerIdentityResponse>")
	for err == nil {
		_, err = io.WriteString(w, strings.Repeat(" ", 4096))
	}
}
