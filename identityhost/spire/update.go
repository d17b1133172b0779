package spire

import (
	"errors"
	"strings"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// update takes over what the API says: an answer is complete, and what it leaves
// out is gone (SPIFFE Workload API section 4.4).
func (p *Provider) update(answer *workloadapi.X509Context) {
	next := p.choose(answer)
	p.complained = ""
	p.mu.Lock()
	before := p.current
	same := before.chain != "" && before.chain == next.chain
	if same {
		p.current.err = next.err
	}
	p.mu.Unlock()
	if !same {
		p.change(next)
		p.log(before, next)
	}
}

// choose makes a state of an answer.
func (p *Provider) choose(answer *workloadapi.X509Context) state {
	svid := p.options.pick(answer.SVIDs)
	if svid == nil {
		return state{err: &Error{
			Address: p.address, Err: ErrNoIdentity,
			Detail: "none of its SVIDs has " + p.options.choice(),
		}}
	}
	s := state{id: svid.ID, notAfter: svid.Certificates[0].NotAfter, chain: der(svid)}
	identity, err := newIdentity(svid)
	if err != nil {
		s.err = &Error{Address: p.address, Detail: err.Error(), Err: ErrKeyType}
		return s
	}
	s.identity = identity
	return s
}

func der(svid *x509svid.SVID) string {
	var b strings.Builder
	for _, c := range svid.Certificates {
		b.Write(c.Raw)
	}
	return b.String()
}

func (p *Provider) log(before, next state) {
	switch log := p.options.logger; {
	case next.id.IsZero() || next.identity == nil && !p.options.jwt:
		log.Warn("no SPIFFE identity", "error", next.err)
	case !before.id.IsZero() && before.id != next.id:
		log.Warn("the SPIFFE identity is another one", "id", next.id.String(), "before", before.id.String(), "not_after", next.notAfter)
	default:
		log.Info("SPIFFE identity", "id", next.id.String(), "not_after", next.notAfter)
	}
}

// fail notes why there is no answer. Only where the API says that there is no
// identity is the one at hand dropped (SPIFFE Workload API section 5.2.1).
func (p *Provider) fail(err *Error) {
	p.mu.Lock()
	held := !p.current.id.IsZero()
	if !held || p.current.identity != nil { // a key that can't sign stays the reason
		p.current.err = err
	}
	p.mu.Unlock()
	if held && errors.Is(err, ErrNoIdentity) {
		p.change(state{err: err})
	}
	if p.complained != err.Error() {
		p.complained = err.Error()
		p.options.logger.Warn("no answer from the SPIFFE Workload API", "error", err)
	}
}
