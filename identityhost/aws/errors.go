package aws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"kest.example/kest"
)

// Error says which call to AWS failed and what to do. It wraps
// kest.ErrUnavailable, so that every hook denies, and kest.ErrConfiguration too
// where only a change of configuration mends it. It holds nothing that AWS
// answered beyond codes: AWS quotes requests, with their tokens, in some answers.
type Error struct {
	Call      string // such as kms:Sign, as a policy names it; or "configuration", "credentials", "identity"
	KeyID     string // "" where no key is concerned
	Code      string // AWS's, such as ThrottlingException; "" where AWS gave none
	Status    int    // of HTTP; 0 without an answer
	RequestID string // AWS's, for its support
	Detail    string // what is wrong, and what mends it

	permanent bool
	cause     error // context.Canceled, context.DeadlineExceeded or nil
}

func (e *Error) Error() string {
	text := "aws: " + e.Call
	if e.KeyID != "" {
		text += " of " + e.KeyID
	}
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Status != 0 {
		text += " (HTTP " + strconv.Itoa(e.Status)
		if e.RequestID != "" {
			text += ", request " + e.RequestID
		}
		text += ")"
	}
	return text + ": " + e.Detail
}

func (e *Error) Unwrap() []error {
	list := []error{kest.ErrUnavailable}
	if e.permanent {
		list = append(list, kest.ErrConfiguration)
	}
	if e.cause != nil {
		list = append(list, e.cause)
	}
	return list
}

// What mends what AWS refuses for good.
const (
	giveCredentials = "none found: give the workload a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret"
	renewThem       = "AWS doesn't accept the workload's credentials: renew them"
	nameKey         = "there is no such key in this account and region: name a KMS key by its id, ARN or alias/NAME"
	otherKey        = "use a key of usage SIGN_VERIFY and spec ECC_NIST_P256, ECC_NIST_EDWARDS25519 or RSA_2048 to RSA_4096"
)

// advice is by AWS's code. What is not here is tried again: throttling, a
// key's state, faults of AWS.
var advice = map[string]string{
	"AccessDenied":                  "",
	"AccessDeniedException":         "",
	"DisabledException":             "enable the key",
	"NotFoundException":             nameKey,
	"InvalidArnException":           nameKey,
	"InvalidAliasNameException":     nameKey,
	"ValidationException":           nameKey,
	"InvalidKeyUsageException":      otherKey,
	"UnsupportedOperationException": otherKey,
	"ExpiredToken":                  renewThem,
	"ExpiredTokenException":         renewThem,
	"IncompleteSignature":           renewThem,
	"IncompleteSignatureException":  renewThem,
	"InvalidClientTokenId":          renewThem,
	"InvalidIdentityToken":          renewThem,
	"InvalidIdentityTokenException": renewThem,
	"InvalidSignatureException":     renewThem,
	"MissingAuthenticationToken":    renewThem,
	"OptInRequired":                 "switch the service on for this account and region",
	"RegionDisabledException":       "switch the region's STS on for this account",
	"SignatureDoesNotMatch":         renewThem,
	"UnrecognizedClientException":   renewThem,
}

// failed is the error of a call that the SDK says failed.
func failed(call, keyID string, err error) error {
	e := &Error{Call: call, KeyID: keyID, Code: codeOf(err), cause: cause(err)}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.Status, e.RequestID = response.HTTPStatusCode(), requestID(response.ServiceRequestID())
	}
	allow, otherwise := "allow "+call+" to the workload's role", reached
	if c, ok := errors.AsType[*credentialsError](err); ok {
		e.Call, e.KeyID, e.Code = "credentials", "", c.code
		allow, otherwise = "let the workload assume its role", func(error) string { return giveCredentials }
	}
	e.Detail, e.permanent = advice[e.Code]
	switch {
	case e.permanent && e.Detail == "":
		e.Detail = allow
	case e.permanent:
	case e.cause != nil:
		e.Detail = "no answer in time"
	case e.Code != "":
		e.Detail = "AWS refuses it for now"
	default:
		e.Detail = otherwise(err)
	}
	return e
}

// reached says how far a call without a code came, in words that hold no
// part of the request.
func reached(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "not reached: no address of " + clean(dns.Name)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "not reached: its certificate doesn't verify"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil {
		return "not reached: " + op.Op + " " + clean(op.Addr.String()) + " failed"
	}
	return "no answer that can be read"
}

// broken is the error of an answer that isn't one.
func broken(call, keyID, detail string) error {
	return &Error{Call: call, KeyID: keyID, Detail: "the answer is wrong: " + detail}
}

// unfit is the error of a key or caller that Kest can't use.
func unfit(call, keyID, detail string) error {
	mends := otherKey
	if keyID == "" {
		mends = "run as a role or a user"
	}
	return &Error{Call: call, KeyID: keyID, Detail: detail + ": " + mends, permanent: true}
}

// unreadable is the error of the SDK's configuration, whose text could quote a
// file of credentials.
func unreadable(err error) error {
	if c := cause(err); c != nil {
		return late(c)
	}
	e := &Error{Call: "configuration", permanent: true}
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		e.Detail = "there is no profile " + strconv.Quote(missing.Profile) + ": mend AWS_PROFILE"
	} else {
		e.Detail = "AWS's files can't be read: mend AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, or what they name"
	}
	return e
}

// late is the error of a wait that ended.
func late(err error) error {
	return &Error{Call: "identity", Detail: "not ready in time", cause: err}
}

func configurationError(detail string) error {
	return fmt.Errorf("aws: %s: %w", detail, kest.ErrConfiguration)
}

// credentialsError stands in for what a source of credentials said.
type credentialsError struct {
	code  string
	cause error
}

func (e *credentialsError) Error() string { return "aws: no credentials" }

func (e *credentialsError) Unwrap() error { return e.cause }

func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
	if len(code) > 64 || strings.IndexFunc(code, func(r rune) bool { return !isLetter(r) }) >= 0 {
		return "Unknown"
	}
	return code
}

// requestID takes a UUID, which is what KMS and STS number requests by, and nothing else.
func requestID(s string) string {
	if len(s) != 36 || strings.Trim(s, "0123456789abcdef-") != "" {
		return ""
	}
	return s
}

// cause keeps what callers test for, without the text around it.
func cause(err error) error {
	for _, c := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, c) {
			return c
		}
	}
	return nil
}

// clean takes a name from outside into an error: short, and of few characters.
func clean(s string) string {
	const maxName = 64
	if len(s) > maxName {
		s = s[:maxName]
	}
	return strings.Map(func(r rune) rune {
		if isLetter(r) || r >= '0' && r <= '9' || strings.ContainsRune("_-.:", r) {
			return r
		}
		return -1
	}, s)
}

func isLetter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }
