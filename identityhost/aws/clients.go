package aws

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// clients are the two services, ready to be called.
type clients struct {
	kms     *kms.Client
	sts     *sts.Client
	timeout time.Duration // of each call
}

// connect makes the clients. A key that is named by its ARN is asked in that
// ARN's region, whatever the configuration's region is.
func (s *settings) connect(ctx context.Context, keyID string) (*clients, error) {
	c, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	keyRegion := c.Region
	if arn, ok := parseARN(keyID); ok && arn.service == "kms" {
		keyRegion = arn.region
	}
	if keyRegion == "" {
		return nil, &Error{Call: "configuration", KeyID: keyID, Detail: "no region: set AWS_REGION, or name the key by its ARN", permanent: true}
	}
	if c.Region == "" {
		c.Region = keyRegion
	}
	return &clients{
		kms:     kms.NewFromConfig(c, func(o *kms.Options) { o.Region = keyRegion }),
		sts:     sts.NewFromConfig(c),
		timeout: s.timeout,
	}, nil
}

// load finds the SDK's configuration and bounds what clients do with it.
func (s *settings) load(ctx context.Context) (sdk.Config, error) {
	var c sdk.Config
	if s.config != nil {
		c = *s.config
	} else {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		var err error
		if c, err = config.LoadDefaultConfig(ctx, config.WithHTTPClient(s.http), config.WithLogger(logging.Nop{})); err != nil {
			return sdk.Config{}, unreadable(err)
		}
	}
	if c.HTTPClient == nil {
		c.HTTPClient = s.http
	}
	c.HTTPClient = boundedHTTP{c.HTTPClient}
	c.Credentials = namedCredentials{c.Credentials}
	c.Retryer, c.RetryMaxAttempts = retryer, 0
	c.ClientLogMode, c.Logger = 0, logging.Nop{} // the SDK can log requests with their tokens
	return c, nil
}

// retryer tries once more, soon: a hook is waiting, and its caller will come again.
func retryer() sdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
			return 50*time.Millisecond + rand.N(100*time.Millisecond), nil //nolint:gosec // spreads load, hides nothing
		})
	})
}

// maxAnswer is far above what KMS and STS answer: some KiB.
const maxAnswer = 1 << 20

// boundedHTTP gives up on answers that are too long.
type boundedHTTP struct{ next sdk.HTTPClient }

func (b boundedHTTP) Do(request *http.Request) (*http.Response, error) {
	response, err := b.next.Do(request)
	if err != nil {
		return response, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{http.MaxBytesReader(nil, response.Body, maxAnswer), response.Body}
	return response, nil
}

// namedCredentials marks an error as one of the credentials, and drops the
// text of what gave them: it can quote a file, a program or a service.
type namedCredentials struct{ next sdk.CredentialsProvider }

func (n namedCredentials) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	if n.next == nil {
		return sdk.Credentials{}, &credentialsError{}
	}
	c, err := n.next.Retrieve(ctx)
	if err != nil {
		return sdk.Credentials{}, &credentialsError{code: codeOf(err), cause: cause(err)}
	}
	return c, nil
}

// arn is an Amazon Resource Name.
type arn struct{ partition, service, region, account, resource string }

func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[5] == "" || p[1] != "aws" && !strings.HasPrefix(p[1], "aws-") || !isPrintable(s) {
		return arn{}, false
	}
	return arn{p[1], p[2], p[3], p[4], p[5]}, true
}

// isKeyARN tells a key's ARN from an alias's: only the first names one key for ever.
func isKeyARN(s string) bool {
	a, ok := parseARN(s)
	return ok && a.service == "kms" && a.region != "" && a.account != "" && strings.HasPrefix(a.resource, "key/")
}

// isPrintable accepts what AWS's names consist of: visible ASCII.
func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
