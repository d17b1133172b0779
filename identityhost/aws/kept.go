package aws

import (
	"context"
	"sync"
	"time"
)

// A fetch that failed is not repeated before the back-off is over: KMS counts
// the calls of a whole account.
const (
	minBackOff = 100 * time.Millisecond
	maxBackOff = 2 * time.Second
)

// kept holds what a fetch gave until it is forgotten. At most one fetch runs,
// and all who wait share its result; a caller that gives up doesn't end it.
type kept[T any] struct {
	fetch func(ctx context.Context) (*T, error) // must end by itself

	mu      sync.Mutex
	value   *T
	flight  *flight[T] // the fetch under way
	err     error      // of the last fetch
	backOff time.Duration
	retryAt time.Time
}

type flight[T any] struct {
	done  chan struct{}
	value *T
	err   error
}

func (k *kept[T]) get(ctx context.Context) (*T, error) {
	k.mu.Lock()
	if k.value != nil {
		defer k.mu.Unlock()
		return k.value, nil
	}
	if k.flight == nil && k.err != nil && time.Now().Before(k.retryAt) {
		defer k.mu.Unlock()
		return nil, k.err
	}
	f := k.start()
	k.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return nil, late(ctx.Err())
	}
}

// start begins a fetch, or joins the one under way.
func (k *kept[T]) start() *flight[T] {
	if k.flight == nil {
		k.flight = &flight[T]{done: make(chan struct{})}
		go k.run(k.flight)
	}
	return k.flight
}

func (k *kept[T]) run(f *flight[T]) {
	f.value, f.err = k.fetch(context.Background())
	k.mu.Lock()
	defer k.mu.Unlock()
	k.value, k.err, k.flight = f.value, f.err, nil
	if f.err == nil {
		k.backOff = 0
	} else {
		k.backOff = min(max(2*k.backOff, minBackOff), maxBackOff)
		k.retryAt = time.Now().Add(k.backOff)
	}
	close(f.done)
}

// forget has the next get fetch again, if the value is still the one that is kept.
func (k *kept[T]) forget(value *T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value == value {
		k.value = nil
	}
}
