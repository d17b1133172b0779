package rediscache_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/rediscache"
)

// The bindings of keys can be replaced in it.
var _ identityhost.Replacer = (*rediscache.Cache)(nil)

const password = "hunter2-hunter2"

// test/e2e has the tests on a real Redis; here there is none.

func TestURLsThatAreRefused(t *testing.T) {
	for _, url := range []string{
		"", password, "redis://:" + password + "@host:port", "redis://" + password + "@host:1/db", "http://:" + password + "@host",
		"redis://:" + password + "@host?" + password + "=1", "redis://host/1/" + password, "redis://%zz:" + password + "@host", "unix://:" + password + "@",
	} {
		c, err := rediscache.Open(url)
		if !errors.Is(err, kest.ErrConfiguration) || c != nil || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, o := range []rediscache.Option{rediscache.WithTimeout(0), rediscache.WithMaxValue(0)} {
		if _, err := rediscache.Open("redis://127.0.0.1", o); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("a limit of 0: %v", err)
		}
	}
}

// check uses a cache in every way and wants it to be unreachable, in one line
// that names the Redis and not its password.
func check(t *testing.T, c *rediscache.Cache, address string) {
	t.Helper()
	ctx := context.Background()
	_, get := c.Get(ctx, "k")
	for name, err := range map[string]error{
		"Put": c.Put(ctx, "k", []byte("v"), time.Minute), "Replace": c.Replace(ctx, "k", []byte("v"), time.Minute), "Get": get, "Ping": c.Ping(ctx),
	} {
		if !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrNotFound) || errors.Is(err, kest.ErrExists) || errors.Is(err, kest.ErrFull) {
			t.Fatalf("%s: %v", name, err)
		}
		if text := err.Error(); strings.Contains(text, password) || strings.Contains(text, "\n") || !strings.Contains(text, address) {
			t.Errorf("%s: %q", name, text)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(text, password) || !strings.Contains(text, address) {
		t.Error(text)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func open(t *testing.T, address string) *rediscache.Cache {
	t.Helper()
	c, err := rediscache.Open("redis://user:"+password+"@"+address+"/3", rediscache.WithTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Opening connects to nothing; using is what fails.
func TestNobodyListens(t *testing.T) {
	l := listen(t)
	address := l.Addr().String()
	_ = l.Close()
	check(t, open(t, address), address)
}

// Servers that hang, or answer something else, cost their time-out and no more.
func TestServersThatAreNoRedis(t *testing.T) {
	for name, answer := range map[string]string{"nothing": "", "another protocol": "HTTP/1.1 400 Bad Request\r\n\r\n", "errors": strings.Repeat("-ERR no\r\n", 100)} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					t.Cleanup(func() { _ = conn.Close() })
					_, _ = conn.Write([]byte(answer))
				}
			}()
			c := open(t, l.Addr().String())
			check(t, c, l.Addr().String())
			var wait sync.WaitGroup
			for range 100 {
				wait.Go(func() {
					if _, err := c.Get(context.Background(), "k"); !errors.Is(err, kest.ErrUnavailable) {
						t.Error(err)
					}
				})
			}
			wait.Wait()
		})
	}
}
