package avp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"kest.example/kest"
	"kest.example/kest/internal/enginetest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/avp"
	"kest.example/kest/policy/cedaragent"
)

const (
	store  = "PSEXAMPLEabcdefg111111"
	secret = "c2VjcmV0LW9mLXRoZS10ZXN0"
	allow  = `{"decision":"ALLOW","determiningPolicies":[],"errors":[]}`
)

func config(url string) aws.Config {
	return aws.Config{Region: "eu-central-1", BaseEndpoint: &url, Credentials: credentials(nil)}
}

func credentials(err error) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIATESTTESTTESTTEST", SecretAccessKey: secret, SessionToken: secret}, err
	})
}

func open(t *testing.T, c aws.Config) *avp.Engine {
	t.Helper()
	e, err := avp.New(c, store, avp.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func serve(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestIsAnEngine(t *testing.T) {
	server := enginetest.NewAVP(t, store, map[string]string{
		"p": `permit(principal == Workload::"spiffe://example.org/kesttest", action == Action::"team/read", resource == Resource::"*") when { context.taints.contains("kesttest") };`,
		"q": `forbid(principal, action == Action::"team/never", resource);`,
	})
	e := open(t, config(server.URL))
	kesttest.TestEngine(t, e, "team/read", "team/never")
	if !e.Remote("team/read") {
		t.Error("it is asked over the network, and denies it")
	}
}

// AWS sees the context that a Cedar Agent sees, with types where that has JSON.
func TestSameContextAsCedarAgents(t *testing.T) {
	var body []byte
	e := open(t, config(serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		enginetest.Says(200, allow)(w, r)
	})))
	codec, err := cedaragent.New("", "")
	if err != nil {
		t.Fatal(err)
	}
	about, err := kest.ParseContext([]byte(`{"identity": "spiffe://t/a", "object": {"id": "7", "attributes": {"n": null, "list": [1, null, "", {"deep": [true, []]}], "": {}, "text": ""}},
		"subject": {"user": "ana", "taints": ["x=1", "__entity"]}, "environment": {"timestamp_ms": 1790000000000, "is_root": true}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*kest.Context{about, kesttest.Context(t, "orders.read", "a", "b=c")} {
		if _, err := e.Evaluate(context.Background(), "team/read", c); err != nil {
			t.Fatal(err)
		}
		question, err := codec.Question("team/read", c)
		if err != nil {
			t.Fatal(err)
		}
		want, have := get(t, question.Body, "context"), plain(t, get(t, get(t, body, "context"), "contextMap"))
		if string(have) != string(want) {
			t.Errorf("AWS sees\n%s\nCedar Agent\n%s", have, want)
		}
		resource := `{"entityId":"` + map[bool]string{true: "7", false: "*"}[c == about] + `","entityType":"Resource"}`
		for member, text := range map[string]string{
			"policyStoreId": `"` + store + `"`, "principal": `{"entityId":"` + c.Subject.Workload + `","entityType":"Workload"}`,
			"action": `{"actionId":"team/read","actionType":"Action"}`, "resource": resource,
		} {
			if have := get(t, body, member); string(have) != text {
				t.Errorf("%s is %s", member, have)
			}
		}
	}
}

// get returns a member of an object in canonical form.
func get(t *testing.T, text []byte, member string) []byte {
	t.Helper()
	v, err := jcs.Parse(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return jcs.Append(nil, v.Get(member))
}

// plain makes JSON of a map of AWS's AttributeValues.
func plain(t *testing.T, text []byte) []byte {
	t.Helper()
	var m map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	var members []jcs.Member
	for name, union := range m {
		members = append(members, jcs.Member{Name: name, Value: value(t, union)})
	}
	return jcs.AppendObject(nil, members...)
}

func value(t *testing.T, union map[string]json.RawMessage) jcs.Value {
	t.Helper()
	if len(union) != 1 {
		t.Fatalf("a value of %d kinds: %v", len(union), union)
	}
	for kind, text := range union {
		switch kind {
		case "set":
			var list []map[string]json.RawMessage
			if err := json.Unmarshal(text, &list); err != nil {
				t.Fatal(err)
			}
			items := make([]jcs.Value, len(list))
			for i := range list {
				items[i] = value(t, list[i])
			}
			return jcs.ArrayValue(items...)
		case "record":
			text = plain(t, text)
		case "boolean", "long", "string":
		default:
			t.Fatalf("a value of kind %s", kind)
		}
		v, err := jcs.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return *v
	}
	return jcs.Value{}
}

// Nobody is asked what Cedar can't hold, or a name that is none.
func TestQuestionsThatAreNone(t *testing.T) {
	e := open(t, config(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("AWS was asked") })))
	fraction, err := kest.ParseContext([]byte(`{"object": {"attributes": {"a": {"n": 1.5}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var wrong *kest.MemberError
	if d, err := e.Evaluate(context.Background(), "p", fraction); d.Allow || !errors.As(err, &wrong) || wrong.Member != "object.attributes.a.n" {
		t.Errorf("a fraction: %+v, %v", d, err)
	}
	for _, name := range []string{"", "*", "a/", "a b", "a\x00"} {
		if d, err := e.Evaluate(context.Background(), name, kesttest.Context(t, "orders.read")); d.Allow || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%q: %+v, %v", name, d, err)
		}
	}
}

// AWS's codes tell what to mend; what else it says stays out.
func TestWhatAWSRefuses(t *testing.T) {
	server := enginetest.NewAVP(t, "PSOTHER", nil)
	c := kesttest.Context(t, "orders.read")
	long := *c
	long.Object.ID = strings.Repeat("x", 700)
	for _, want := range []struct {
		url    string
		about  *kest.Context
		code   string
		status int
	}{
		{server.URL, c, "ResourceNotFoundException", 400},
		{server.URL, &long, "ValidationException", 400},
		{serve(t, refuse(400, "ThrottlingException")), c, "ThrottlingException", 400},
		{serve(t, refuse(403, "AccessDeniedException")), c, "AccessDeniedException", 403},
		{serve(t, refuse(500, "InternalServerException")), c, "InternalServerException", 500},
		{serve(t, refuse(400, secret+"="+secret)), c, "Unknown", 400},
	} {
		d, err := open(t, config(want.url)).Evaluate(context.Background(), "p", want.about)
		failed, ok := errors.AsType[*avp.Error](err)
		if d.Allow || !ok || !errors.Is(err, kest.ErrUnavailable) || failed.Code != want.code || failed.Status != want.status || failed.Policy != "p" || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %+v, %v", want.code, d, err)
		}
	}
}

func refuse(status int, code string) http.HandlerFunc {
	return enginetest.Says(status, `{"__type":"com.amazonaws#`+code+`","message":"`+secret+`"}`)
}

// Without credentials nobody is asked, and their source's words stay where they are.
func TestCredentials(t *testing.T) {
	c := config(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("AWS was asked") }))
	c.Credentials = credentials(errors.New("the file says " + secret))
	_, err := open(t, c).Evaluate(context.Background(), "p", kesttest.Context(t, "orders.read"))
	if !errors.Is(err, kest.ErrUnavailable) || strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
	c.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	})
	e, err := avp.New(c, store, avp.WithTimeout(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestEngineUnavailable(t, e, "p")
}

// Whatever the configuration says, nothing is asked twice, and the clients that
// are known here follow no redirect.
func TestAskedOnce(t *testing.T) {
	for name, client := range map[string]aws.HTTPClient{
		"none": nil, "the SDK's": awshttp.NewBuildableClient(), "Go's": &http.Client{}, "one's own": own{},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			c := config(serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Location", "/again")
				w.WriteHeader(map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusTemporaryRedirect}[name == "one's own"])
			}))
			c.HTTPClient, c.RetryMaxAttempts, c.RetryMode = client, 5, aws.RetryModeAdaptive
			c.Retryer = func() aws.Retryer { return retry.NewStandard() }
			_, err := open(t, c).Evaluate(context.Background(), "p", kesttest.Context(t, "orders.read"))
			if !errors.Is(err, kest.ErrUnavailable) || asked.Load() != 1 {
				t.Errorf("asked %d times, %v", asked.Load(), err)
			}
		})
	}
}

// own is a client that this package knows nothing of.
type own struct{}

func (own) Do(r *http.Request) (*http.Response, error) { return http.DefaultClient.Do(r) }

func TestConfigurationThatIsWrong(t *testing.T) {
	for name, change := range map[string]func(*aws.Config) (string, []avp.Option){
		"no store":       func(*aws.Config) (string, []avp.Option) { return "", nil },
		"no region":      func(c *aws.Config) (string, []avp.Option) { c.Region = ""; return store, nil },
		"no credentials": func(c *aws.Config) (string, []avp.Option) { c.Credentials = nil; return store, nil },
		"no time":        func(*aws.Config) (string, []avp.Option) { return store, []avp.Option{avp.WithTimeout(0)} },
	} {
		c := config("http://localhost")
		id, options := change(&c)
		if e, err := avp.New(c, id, options...); e != nil || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}
