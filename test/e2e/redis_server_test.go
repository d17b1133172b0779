//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kest.example/kest/identityhost/rediscache"
	"kest.example/kest/internal/envoytest"
)

const redisPassword = "hunter2-hunter2-hunter2"

// redisServer is a running Redis with a password.
type redisServer struct {
	port int
	dir  string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

func (r *redisServer) url() string {
	return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", redisPassword, r.port)
}

func (r *redisServer) unixURL() string {
	return "unix://:" + redisPassword + "@" + filepath.Join(r.dir, "redis.sock")
}

// start waits until the server answers, at most a minute.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	binary := filepath.Join(envoytest.Root(), ".tools", "bin", "redis-server")
	if _, err := os.Stat(binary); err != nil {
		t.Fatal("redis-server is not there: run make tools")
	}
	r.cmd = exec.Command(binary, append([]string{
		"--bind", "127.0.0.1", "--port", fmt.Sprint(r.port), "--unixsocket", filepath.Join(r.dir, "redis.sock"),
		"--dir", r.dir, "--requirepass", redisPassword, "--save", "", "--daemonize", "no",
	}, r.args...)...)
	r.log.Reset()
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.done = make(chan struct{})
	go func() {
		_ = r.cmd.Wait()
		close(r.done)
	}()
	cache := r.open(t)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := cache.Ping(context.Background())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			r.kill()
			t.Fatalf("redis does not answer: %v\n%s", err, r.log.String())
		}
	}
}

// kill ends the server at once, as a crash would.
func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	<-r.done
}

func (r *redisServer) open(t *testing.T, options ...rediscache.Option) *rediscache.Cache {
	t.Helper()
	c, err := rediscache.Open(r.url(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// startRedis runs the Redis that make tools fetched, on a free loopback port
// and on a Unix socket.
func startRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	ports, err := envoytest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kr") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &redisServer{port: ports[0], dir: dir, args: args}
	r.start(t)
	t.Cleanup(func() { r.kill() })
	return r
}
