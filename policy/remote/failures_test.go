package remote_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"kest.example/kest"
	"kest.example/kest/internal/enginetest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/avp"
	"kest.example/kest/policy/cedaragent"
	"kest.example/kest/policy/opa"
	"kest.example/kest/policy/remote"
)

// secret is in all questions, and in no error.
const secret = "c2VjcmV0LW9mLXRoZS10ZXN0"

// subject is one engine, and what its server says.
type subject struct {
	allow  string
	denies []string // besides what denies in every engine
	broken []string
	make   func(url string, timeout time.Duration) (kest.Engine, error)
}

// subjects are all remote engines of this project.
var subjects = map[string]subject{
	"opa": {
		allow: `{"result":{"allow":true}}`,
		denies: []string{
			`{"result":{"allow":false}}`, `{"result":{"allow":"true"}}`, `{"result":{"allow":1}}`, `{"result":{"allow":null}}`, `{"result":{"allow":[true]}}`,
			`{"result":{"allow":{"allow":true}}}`, `{"result":{}}`, `{"result":null}`, `{"result":"true"}`, `{"result":1}`, `{"result":[true]}`, `{"result":false}`,
			`{"allow":true}`, `{"Result":true}`, `{"result.allow":true}`, `{"result":{"Allow":true}}`, `{"result":[{"allow":true}]}`,
		},
		broken: []string{`{"result":{"allow":false,"allow":true}}`, `{"result":false,"result":true}`, `{"result":tru}`, `{"result":TRUE}`},
		make: func(url string, timeout time.Duration) (kest.Engine, error) {
			return remote.OPA(url, nil, remote.WithTimeout(timeout), remote.WithAuthorization("Bearer "+secret))
		},
	},
	"opa, another decision": {
		allow:  `{"result":{"decision":{"permit":true}}}`,
		denies: []string{`{"result":{"allow":true}}`, `{"result":{"decision":true}}`, `{"result":{"decision":{"permit":"true"}}}`},
		make: func(url string, timeout time.Duration) (kest.Engine, error) {
			codec, err := opa.New("kest", "result.decision.permit")
			if err != nil {
				return nil, err
			}
			return remote.OPA(url, codec, remote.WithTimeout(timeout), remote.WithAuthorization("Bearer "+secret))
		},
	},
	"cedar agent": {
		allow: `{"decision":"Allow","diagnostics":{"reason":["p"],"errors":[]}}`, denies: cedarDenies, broken: cedarBroken,
		make: func(url string, timeout time.Duration) (kest.Engine, error) {
			return remote.CedarAgent(url, nil, remote.WithTimeout(timeout), remote.WithAuthorization(secret))
		},
	},
	"cedar agent, bare ids": {
		allow: `{"decision":"Allow"}`, denies: cedarDenies, broken: cedarBroken,
		make: func(url string, timeout time.Duration) (kest.Engine, error) {
			codec, err := cedaragent.New("", cedaragent.WireKest03)
			if err != nil {
				return nil, err
			}
			return remote.CedarAgent(url, codec, remote.WithTimeout(timeout), remote.WithAuthorization(secret))
		},
	},
	"avp": {
		allow: `{"decision":"ALLOW","determiningPolicies":[{"policyId":"p"}],"errors":[]}`,
		denies: []string{
			`{"decision":"DENY","determiningPolicies":[],"errors":[]}`, `{"decision":"Allow"}`, `{"decision":true}`, `{"decision":1}`, `{"decision":null}`,
			`{"decision":["ALLOW"]}`, `{"Decision":"ALLOW"}`, `{"decision":"ALLOW","errors":[{"errorDescription":"p: no such attribute"}]}`,
			`{"decision":"ALLOW","errors":"p"}`, `{"decision":"ALLOW","errors":{}}`,
		},
		broken: []string{`{"decision":"DENY","decision":"ALLOW"}`},
		make: func(url string, timeout time.Duration) (kest.Engine, error) {
			return avp.New(awsConfig(url), "PSEXAMPLE", avp.WithTimeout(timeout))
		},
	},
}

var (
	cedarDenies = []string{
		`{"decision":"Deny","diagnostics":{"reason":[],"errors":[]}}`, `{"decision":"allow"}`, `{"decision":"ALLOW"}`, `{"decision":true}`, `{"decision":"true"}`,
		`{"decision":1}`, `{"decision":null}`, `{"decision":["Allow"]}`, `{"Decision":"Allow"}`, `{"decision":"Allow","diagnostics":{"errors":["p: no such attribute"]}}`,
		`{"decision":"Allow","diagnostics":{"errors":[null]}}`, `{"decision":"Allow","diagnostics":{"errors":"p"}}`, `{"decision":"Allow","diagnostics":["p"]}`,
	}
	cedarBroken = []string{`{"decision":"Deny","decision":"Allow"}`, `{"decision":"Allow","diagnostics":{"errors":["p"],"errors":[]}}`}
)

func awsConfig(url string) aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: &url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATESTTESTTESTTEST", SecretAccessKey: secret, SessionToken: secret}, nil
		}),
	}
}

func (s subject) faults() []enginetest.Fault {
	faults := enginetest.Faults(s.allow)
	for _, body := range s.denies {
		faults = append(faults, enginetest.Fault{Name: body, Denies: true, Serve: enginetest.Says(200, body)})
	}
	for _, body := range s.broken {
		faults = append(faults, enginetest.Fault{Name: body, Serve: enginetest.Says(200, body)})
	}
	return faults
}

func (s subject) open(t *testing.T, url string, timeout time.Duration) kest.Engine {
	t.Helper()
	e, err := s.make(url, timeout)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// patience is a time-out that no test waits for; haste one that some do.
const (
	patience = time.Minute
	haste    = 100 * time.Millisecond
)

// eachSubject runs a test on all engines.
func eachSubject(t *testing.T, f func(t *testing.T, s subject)) {
	t.Helper()
	for name, s := range subjects {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

// Whatever a server does wrong denies, with the right class: a denial where the
// answer is whole, else an error that wraps ErrUnavailable. It is asked once, no
// redirect is followed, and no error holds a secret.
func TestEveryFault(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, fault := range s.faults() {
			t.Run(fault.Name, func(t *testing.T) {
				t.Parallel()
				checkFault(t, s, fault)
			})
		}
	})
}

func checkFault(t *testing.T, s subject, fault enginetest.Fault) {
	t.Helper()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == enginetest.Elsewhere {
			enginetest.Says(200, s.allow)(w, r)
			return
		}
		fault.Serve(w, r)
	}))
	defer server.Close()
	timeout := patience
	if fault.Late {
		timeout = haste
	}
	d, err := s.open(t, server.URL, timeout).Evaluate(context.Background(), "orders/read", kesttest.Context(t, "orders.read"))
	checkDenied(t, d, err, fault.Denies)
	if fault.Late != errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: %v, but the error is %v", fault.Late, err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

func checkDenied(t *testing.T, d kest.Decision, err error, whole bool) {
	t.Helper()
	if d.Allow || errors.Is(err, kest.ErrUnavailable) == whole || whole && (err != nil || d.Reason == "") {
		t.Errorf("%+v, %v", d, err)
	}
	for _, text := range []string{d.Reason, d.Revision, errorText(err)} {
		if strings.Contains(text, secret) || len(text) > 1024 {
			t.Errorf("tells too much: %s", text)
		}
	}
}

// errorText is the text of an error and of all that it wraps.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() error }:
		text += errorText(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			text += errorText(one)
		}
	}
	return text
}

// Nobody at the address, somebody who doesn't accept, and who speaks no TLS.
func TestNobodyThere(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		server := httptest.NewServer(enginetest.Says(200, s.allow))
		c := kesttest.Context(t, "orders.read")
		d, err := s.open(t, strings.Replace(server.URL, "http:", "https:", 1), patience).Evaluate(context.Background(), "p", c)
		checkDenied(t, d, err, false)
		server.Close()
		kesttest.TestEngineUnavailable(t, s.open(t, server.URL, patience), "p", "orders/read")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		d, err = s.open(t, "http://"+l.Addr().String(), haste).Evaluate(context.Background(), "p", c)
		checkDenied(t, d, err, false)
	})
}

// A caller that no longer waits ends the question at once.
func TestCallersEnd(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		ctx, cancel := context.WithCancel(context.Background())
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			_, _ = r.Body.Read(make([]byte, 1<<20))
			<-r.Context().Done()
		}))
		defer server.Close()
		d, err := s.open(t, server.URL, patience).Evaluate(ctx, "p", kesttest.Context(t, "orders.read"))
		checkDenied(t, d, err, false)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A connection that ends under a question, after it served others, asks nobody
// twice: the server may have decided.
func TestConnectionEndsUnderAQuestion(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 2 {
				panic(http.ErrAbortHandler)
			}
			enginetest.Says(200, s.allow)(w, r)
		}))
		defer server.Close()
		e, c := s.open(t, server.URL, patience), kesttest.Context(t, "orders.read")
		for i, allow := range []bool{true, false, true} {
			d, err := e.Evaluate(context.Background(), "p", c)
			if d.Allow != allow || allow == errors.Is(err, kest.ErrUnavailable) {
				t.Errorf("question %d: %+v, %v", i, d, err)
			}
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Answers that never end leave nothing behind once their time-out has passed.
func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	eachSubject(t, func(t *testing.T, s subject) {
		for _, fault := range s.faults() {
			if fault.Late || !fault.Denies {
				checkFault(t, s, fault)
			}
		}
	})
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
