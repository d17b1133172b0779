package oidc

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"kest.example/kest/identityhost/internal/jwt"
)

// self is who a token says that we are.
type self struct {
	issuer, subject string
	notAfter        time.Time
}

func (s self) workload() string { return s.issuer + "#" + s.subject }

// read checks a token of ours and learns who we are.
func (p *Provider) read(ctx context.Context, text string) (*jwt.Token, *self, error) {
	t, err := jwt.Parse(text)
	if err != nil {
		return nil, nil, refused(err)
	}
	s, err := selfOf(t)
	if err == nil {
		err = t.InTime(p.now(), early, 0)
	}
	if err == nil && p.keys != nil {
		err = t.Verify(ctx, p.keys)
	}
	if err != nil {
		return nil, nil, refused(err)
	}
	return t, s, nil
}

func selfOf(t *jwt.Token) (s *self, err error) {
	s = &self{}
	if s.issuer, err = t.Text("iss"); err != nil {
		return nil, err
	}
	if strings.Contains(s.issuer, "#") {
		return nil, &jwt.Error{Reason: jwt.Malformed, Detail: "iss holds #, so that ISS#SUB could mean another workload"}
	}
	if s.subject, err = t.Text("sub"); err != nil {
		return nil, err
	}
	s.notAfter, err = t.Expiry()
	return s, err
}

// lookAgain is how soon a source is read again.
const lookAgain = time.Second

// checkTimeout bounds how long reading and checking a token takes.
const checkTimeout = 5 * time.Second

// watch is a source and what it gave last.
type watch struct {
	source Source
	turn   chan struct{} // held by who reads

	// Written only by who holds the turn and Provider.mu.
	looked time.Time
	sum    [sha256.Size]byte // of the token behind self
	self   *self
	err    error // of the last look, nil where it was good
}

func newWatch(source Source) *watch { return &watch{source: source, turn: make(chan struct{}, 1)} }

// current is who we are now. While the last good token holds, nobody waits, and
// one that is unreadable or bad in the file doesn't count.
func (p *Provider) current(ctx context.Context) (*self, error) {
	s, fresh, err := p.seen()
	if fresh {
		return s, err
	}
	select {
	case p.watch.turn <- struct{}{}:
	default:
		if s != nil {
			return s, nil // somebody reads already
		}
		select {
		case p.watch.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, unavailable("reading the token", ctx.Err())
		}
	}
	defer func() { <-p.watch.turn }()
	if s, fresh, err = p.seen(); fresh {
		return s, err
	}
	// Not under the caller's context: others wait for the same answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	p.look(ctx)
	s, _, err = p.seen()
	return s, err
}

// seen returns what the last look gave, s only while its token holds, and
// whether that look was recent.
func (p *Provider) seen() (s *self, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, now := p.watch, p.now()
	age := now.Sub(w.looked)
	fresh = !w.looked.IsZero() && age >= 0 && age < lookAgain
	if w.self != nil && now.Before(w.self.notAfter) {
		return w.self, fresh, nil
	}
	if err = w.err; err == nil && w.self != nil {
		err = refused(&jwt.Error{Reason: jwt.Expired, Detail: "it ended at " + w.self.notAfter.Format(time.RFC3339)})
	}
	return nil, fresh, err
}

// look reads the source once. A new token is checked; the one that is known is not.
func (p *Provider) look(ctx context.Context) {
	w := p.watch
	text, err := w.source()
	sum := sha256.Sum256([]byte(text))
	var s *self
	switch {
	case err != nil:
		err = unavailable("reading the token", err)
	case w.self != nil && sum == w.sum:
		s = w.self
	default:
		_, s, err = p.read(ctx, text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && w.err == nil && w.self != nil {
		p.logger.Warn("kest: the OIDC token was replaced by one that can't be used: " + err.Error())
	}
	w.looked, w.err = p.now(), err
	if err == nil {
		w.self, w.sum, p.last = s, sum, s
	}
}
