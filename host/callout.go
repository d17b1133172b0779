package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// Bounds of callouts.
const (
	maxCallouts     = 1024 // under way in one instance
	maxCalloutBody  = 1 << 20
	maxCalloutField = 64 << 10
)

// callout is an HTTP request of the guest's that is under way.
type callout struct {
	i      *instance
	id     uint32
	cancel context.CancelFunc
}

// answer is what came of a callout; without headers it failed.
type answer struct {
	headers, trailers []proxywasm.Pair
	body              []byte
}

// startCallout sends a request to a cluster and has its answer delivered.
func (i *instance) startCallout(t *target, headers []proxywasm.Pair, body []byte, timeout time.Duration) (uint32, proxywasm.Status) {
	if len(i.calls) >= maxCallouts {
		return 0, proxywasm.InternalFailure
	}
	ctx, cancel := context.WithTimeout(i.filter.ctx, timeout)
	r, err := t.request(ctx, headers, body)
	if err != nil {
		cancel()
		return 0, proxywasm.BadArgument
	}
	for i.lastCall++; i.lastCall == 0 || i.calls[i.lastCall] != nil; {
		i.lastCall++
	}
	c := &callout{i: i, id: i.lastCall, cancel: cancel}
	i.calls[c.id] = c
	if s := i.stream(); s != nil {
		s.calls = append(s.calls, c)
	}
	go c.run(t, r)
	return c.id, proxywasm.OK
}

func (c *callout) run(t *target, r *http.Request) {
	defer c.cancel()
	a, err := t.send(r)
	if err != nil {
		c.i.filter.logger.Warn("a callout failed", "instance", c.i.number, "cluster", t.name, "error", err)
	}
	c.i.filter.pool.later(c.i.slot, func() { c.i.deliver(c.id, a) })
}

// deliver brings an answer to the guest.
func (i *instance) deliver(id uint32, a *answer) {
	delete(i.calls, id)
	i.answer = a
	_, _ = i.call(proxywasm.OnHTTPCallResponse, i.soon(), rootContext, // a dead instance is dealt with
		rootContext, uint64(id), uint64(len(a.headers)), uint64(len(a.body)), uint64(len(a.trailers)))
	i.answer = nil
}

// request makes the HTTP request that a guest's header map describes.
func (t *target) request(ctx context.Context, pairs []proxywasm.Pair, body []byte) (*http.Request, error) {
	m := headerMap{pseudo: requestPseudo}
	if m.setAll(pairs) != proxywasm.OK {
		return nil, errCallout
	}
	method, _ := m.get(":method")
	path, _ := m.get(":path")
	authority, _ := m.get(":authority")
	if method == "" || authority == "" || path == "" || path[0] != '/' {
		return nil, errCallout
	}
	r, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header, r.Host = m.header(), authority
	if _, ok := r.Header["User-Agent"]; !ok {
		r.Header["User-Agent"] = nil // none, rather than Go's
	}
	return r, nil
}

var (
	errCallout  = errors.New("host: a callout needs valid headers with :method, :path and :authority")
	errOversize = errors.New("host: a callout's answer is over its bound")
)

// send makes the exchange. On error the answer is one that failed.
func (t *target) send(r *http.Request) (*answer, error) {
	resp, err := t.client.Do(r)
	if err != nil {
		return &answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCalloutBody+1))
	if err != nil {
		return &answer{}, err
	}
	if len(body) > maxCalloutBody {
		return &answer{}, errOversize
	}
	status := []proxywasm.Pair{{Name: ":status", Value: strconv.Itoa(resp.StatusCode)}}
	a := &answer{fieldPairs(status, resp.Header), fieldPairs(nil, resp.Trailer), body}
	if fieldsSize(a.headers)+fieldsSize(a.trailers) > maxCalloutField {
		return &answer{}, errOversize
	}
	return a, nil
}

func fieldsSize(pairs []proxywasm.Pair) (n int) {
	for _, p := range pairs {
		n += len(p.Name) + len(p.Value)
	}
	return n
}
