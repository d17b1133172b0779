package aws_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

const (
	account   = "111122223333"
	region    = "eu-central-1"
	accessKey = "AKIATESTTESTTESTTEST"
	secret    = "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"
	token     = "dG9rZW4tb2YtdGhlLXRlc3QtY3JlZGVudGlhbHM="
	session   = "arn:aws:sts::" + account + ":assumed-role/orders/session-1"
	workload  = "arn:aws:iam::" + account + ":role/orders"
)

// server speaks the wire protocols of KMS (JSON 1.1) and STS (query, XML) as
// strictly as AWS does where Kest relies on it.
type server struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	keys    map[string]*kmsKey // by id, ARN and alias
	caller  string             // the ARN that STS says
	faults  map[string]http.HandlerFunc
	calls   map[string]int
	regions map[string]string // of the last call
	signed  []signRequest
}

type kmsKey struct {
	arn, spec, usage, algorithm string
	private                     crypto.Signer
	bare                        bool // answers its id where AWS answers its ARN
}

type signRequest struct {
	KeyID            string `json:"KeyId"`
	Message          []byte
	MessageType      string
	SigningAlgorithm string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{
		t: t, keys: map[string]*kmsKey{}, caller: session,
		faults: map[string]http.HandlerFunc{}, calls: map[string]int{}, regions: map[string]string{},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// config is the SDK's configuration of a workload that uses the server.
func (s *server) config() sdk.Config {
	return sdk.Config{
		Region: region, BaseEndpoint: &s.URL,
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret, SessionToken: token}, nil
		}),
	}
}

func keyARN(id string) string { return "arn:aws:kms:" + region + ":" + account + ":key/" + id }

// add makes a key of a spec and returns its id.
func (s *server) add(spec string) string {
	s.t.Helper()
	private, algorithm := newPrivate(s.t, spec)
	id := strings.ToLower(rand.Text())
	k := &kmsKey{arn: keyARN(id), spec: spec, usage: "SIGN_VERIFY", algorithm: algorithm, private: private}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id], s.keys[k.arn] = k, k
	return id
}

// change alters a key, such as its usage.
func (s *server) change(id string, f func(*kmsKey)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.keys[id])
}

// alias points an alias at a key.
func (s *server) alias(name, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = s.keys[id]
}

func newPrivate(t *testing.T, spec string) (private crypto.Signer, algorithm string) {
	t.Helper()
	var err error
	switch spec {
	case "ECC_NIST_P256":
		algorithm = "ECDSA_SHA_256"
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECC_NIST_P384":
		algorithm = "ECDSA_SHA_384"
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ECC_NIST_EDWARDS25519":
		algorithm = "ED25519_SHA_512"
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		var bits int
		if _, err = fmt.Sscanf(spec, "RSA_%d", &bits); err == nil {
			algorithm = "RSASSA_PKCS1_V1_5_SHA_256"
			private, err = rsa.GenerateKey(rand.Reader, bits)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return private, algorithm
}

// set has an operation answered by f from now on; nil mends it.
func (s *server) set(operation string, f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[operation] = f
}

// setCaller has STS say another ARN.
func (s *server) setCaller(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caller = name
}

// count returns how often an operation was called.
func (s *server) count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// regionOf returns the region of the last call of an operation.
func (s *server) regionOf(operation string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.regions[operation]
}

// requests returns what KMS was asked to sign since the last call.
func (s *server) requests() []signRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.signed
	s.signed = nil
	return list
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, isKMS := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if !isKMS {
		operation = r.FormValue("Action")
	}
	s.mu.Lock()
	s.calls[operation]++
	s.regions[operation] = scope(r)
	fault := s.faults[operation]
	s.mu.Unlock()
	switch {
	case fault != nil:
		fault(w, r)
	case !isKMS:
		s.sts(w, r)
	default:
		s.kms(w, r, operation)
	}
}

// scope is the region of a request's Signature Version 4.
func scope(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(credential, "/"); len(parts) > 3 {
		return parts[2]
	}
	return ""
}

func (s *server) sts(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("Action") != "GetCallerIdentity" {
		refuseQuery("InvalidAction", http.StatusBadRequest)(w, r)
		return
	}
	s.mu.Lock()
	name := s.caller
	s.mu.Unlock()
	callerIs(name, strings.Split(name+":::::", ":")[4])(w, r)
}

// callerIs answers GetCallerIdentity.
func callerIs(name, account string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>%s</Arn><UserId>AROATEST:session</UserId><Account>%s</Account></GetCallerIdentityResult>`+
			`<ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></GetCallerIdentityResponse>`, name, account)
	}
}

func (s *server) kms(w http.ResponseWriter, r *http.Request, operation string) {
	var request signRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		refuse("SerializationException", http.StatusBadRequest)(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[request.KeyID]
	switch {
	case k == nil:
		refuse("NotFoundException", http.StatusBadRequest)(w, r)
	case operation == "GetPublicKey":
		answer(k.describe(s.t))(w, r)
	case operation == "DescribeKey":
		answer(map[string]any{"KeyMetadata": map[string]any{"KeyId": k.id(), "Arn": k.arn}})(w, r)
	case operation == "Sign":
		s.signed = append(s.signed, request)
		k.sign(s.t, request)(w, r)
	default:
		refuse("UnknownOperationException", http.StatusBadRequest)(w, r)
	}
}

func (k *kmsKey) id() string { return k.arn[strings.LastIndex(k.arn, "/")+1:] }

// describe is the answer of GetPublicKey.
func (k *kmsKey) describe(t *testing.T) map[string]any {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Error(err)
	}
	m := map[string]any{"KeyId": k.arn, "KeySpec": k.spec, "KeyUsage": k.usage, "PublicKey": der}
	if k.bare {
		m["KeyId"] = k.id()
		delete(m, "KeySpec")
	}
	return m
}

func (k *kmsKey) sign(t *testing.T, request signRequest) http.HandlerFunc {
	digest, options := sha256.Sum256(request.Message), crypto.SignerOpts(crypto.SHA256)
	input := digest[:]
	switch _, ed := k.private.(ed25519.PrivateKey); {
	case k.usage != "SIGN_VERIFY" || request.SigningAlgorithm != k.algorithm:
		return refuse("InvalidKeyUsageException", http.StatusBadRequest)
	case ed && request.MessageType != "RAW", len(request.Message) > 4096,
		request.MessageType == "DIGEST" && len(request.Message) != sha256.Size:
		return refuse("ValidationException", http.StatusBadRequest)
	case ed:
		input, options = request.Message, crypto.Hash(0)
	case request.MessageType == "DIGEST":
		input = request.Message
	}
	signature, err := k.private.Sign(rand.Reader, input, options)
	if err != nil {
		t.Error(err)
	}
	return answer(map[string]any{"KeyId": k.arn, "Signature": signature, "SigningAlgorithm": k.algorithm})
}

func answer(v any) http.HandlerFunc {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw(string(text))
}

// raw answers a text as it is.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte(text))
	}
}

// refuse answers an error of KMS.
func refuse(code string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"as the test says"}`, code)
	}
}

// refuseQuery answers an error of STS.
func refuseQuery(code string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>as the test says</Message></Error></ErrorResponse>`, code)
	}
}

// eventually tries until f is true, at most 10 s.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
