package spire

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"kest.example/kest"
)

// Option changes one choice of a Provider.
type Option func(*options)

type options struct {
	ttl       time.Duration
	jwt       bool
	wantID    string
	id        spiffeid.ID
	hint      string
	logger    *slog.Logger
	onBundles func([]*spiffebundle.Bundle)
}

// DefaultTTL is how long a binding of form (a) holds unless WithTTL says else.
const DefaultTTL = time.Hour

// WithTTL sets how long a binding of form (a) holds, at least a second. It never
// outlives the SVID.
func WithTTL(ttl time.Duration) Option { return func(o *options) { o.ttl = ttl } }

// WithJWTBinding binds keys by JWT-SVIDs whose one audience is the key, form (b)
// of CONTRACT 8, in place of form (a). The Workload API sets how long they hold.
func WithJWTBinding() Option { return func(o *options) { o.jwt = true } }

// WithID chooses the SVID of this SPIFFE ID where the Workload API gives several.
// The default is the first.
func WithID(id string) Option { return func(o *options) { o.wantID = id } }

// WithHint chooses the SVID to which the operator gave this hint.
func WithHint(hint string) Option { return func(o *options) { o.hint = hint } }

// WithLogger logs when the identity and the connection change. The default logs
// nothing.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// OnBundles has f called with the bundles of all trust domains, own and
// federated, sorted by name, each with its X.509 and its JWT authorities: once
// they are known and after each change. f gets copies and is called from one
// goroutine at a time, maybe before Open returns; it must not call Close.
func OnBundles(f func([]*spiffebundle.Bundle)) Option { return func(o *options) { o.onBundles = f } }

func newOptions(opts []Option) (options, error) {
	o := options{ttl: DefaultTTL}
	for _, opt := range opts {
		opt(&o)
	}
	if o.logger == nil {
		o.logger = slog.New(slog.DiscardHandler)
	}
	if o.ttl < time.Second {
		return o, fmt.Errorf("spire: a binding that holds for %v: at least a second is needed: %w", o.ttl, kest.ErrConfiguration)
	}
	if o.wantID != "" {
		id, err := spiffeid.FromString(o.wantID)
		if err != nil {
			return o, fmt.Errorf("spire: the SPIFFE ID %q: %w: %w", o.wantID, err, kest.ErrConfiguration)
		}
		o.id = id
	}
	return o, nil
}

// pick chooses the SVID, nil where none fits.
func (o *options) pick(svids []*x509svid.SVID) *x509svid.SVID {
	for _, s := range svids {
		if (o.id.IsZero() || s.ID == o.id) && (o.hint == "" || s.Hint == o.hint) {
			return s
		}
	}
	return nil
}

// choice says what pick looks for.
func (o *options) choice() string {
	text := "the id " + o.wantID
	if o.wantID == "" {
		text = "the hint " + strconv.Quote(o.hint)
	} else if o.hint != "" {
		text += " and the hint " + strconv.Quote(o.hint)
	}
	return text
}
