//go:build e2e

package e2e

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/redis/go-redis/v9"

	"kest.example/kest/test/fleet"
	"kest.example/kest/test/secrets"
)

// Nothing that Envoys with agents, a Redis and KMS let out holds a secret,
// whatever callers send and whatever fails. test/secrets has the same of Go hosts.
func TestNothingTellsASecret(t *testing.T) {
	s := &secretScene{t: t, World: secrets.New(t), f: fleet.New(t), redis: startRedis(t, "--appendonly", "yes")}
	s.Secret("the password of the Redis", redisPassword)
	s.orders = s.f.Workload("orders", nil)
	s.SVIDs(s.orders.API)
	s.visitor = secrets.Visitor{Users: fleet.NewIssuer(t), Peer: s.f.Workload("gw", nil)}
	env := []string{"SPIFFE_ENDPOINT_SOCKET=" + s.orders.API.Address(), "KEST_AGENT_CACHE=" + s.redis.url()}

	agent, socket := s.Agent("spire", env, "--identity", "spire")
	claims := s.setup(s.orders.ID, "", "", "unix:"+socket)
	claims.Config = strings.Replace(claims.Config, `"keys"`, `"propagation": {"max_bytes": 64, "claim_check": {"cluster": "kest_agent"}}, "keys"`, 1)
	claims.JWT = &s.visitor.Users.JWT
	s.envoy("claims", claims, 200, 400, 401, 403)
	s.Requests(socket)

	token := s.Fresh("an agent's token")
	_, tcp := s.Agent("loopback", env, "--identity", "spire", "--listen", "127.0.0.1:0", "--token-file", s.Input("token", token))
	s.envoy("loopback", s.setup(s.orders.ID, `,"algorithm":"ES256","binding":"inline"`, token, "http://"+tcp), 200, 400, 403)
	s.envoy("wrong-token", s.setup(s.orders.ID, "", s.Fresh("a wrong token of an agent"), "http://"+tcp), 503)
	s.Requests(tcp, "Authorization", "Bearer "+token)

	throttle, kms := s.kms()
	s.Requests(kms)
	s.Pages()
	s.dump()

	throttle(true)
	s.redis.kill()
	s.orders.API.RotateSVID()
	s.SVIDs(s.orders.API)
	s.everything()
	s.Requests(kms)
	s.Requests(tcp, "Authorization", "Bearer "+token)
	s.Pages()
	throttle(false)
	s.redis.start(t)
	s.orders.API.Stop()
	agent.Kill()
	s.everything()
	s.Pages()
	s.dump()
	s.Check()
}

type secretScene struct {
	*secrets.World
	t       *testing.T
	f       *fleet.Fleet
	redis   *redisServer
	orders  *fleet.Workload
	visitor secrets.Visitor
	proxies []*fleet.Gateway
}

func (s *secretScene) setup(workload, more, token, target string) fleet.Setup {
	return fleet.Setup{
		Guest: "policy.wasm", Config: strings.ReplaceAll(fleet.Config(more, token), orders, workload),
		Backend: s.Backend(), Clusters: map[string]string{"kest_agent": target},
	}
}

// envoy starts an Envoy, which logs all that Wasm says, and visits it.
func (s *secretScene) envoy(name string, setup fleet.Setup, want ...int) {
	s.t.Helper()
	e, g := envoyIn(s.t, s.Folder("envoy-"+name), setup)
	s.KeepLog("the log of the Envoy "+name, e.Log)
	s.Admin(e.Admin)
	if len(want) == 1 { // requests that wait for an identity
		if status := s.Send(nil, http.MethodGet, g.URL+"/orders/7", ""); status != want[0] {
			s.t.Errorf("%s: %d", name, status)
		}
		return
	}
	s.Visit(name, g, s.visitor, want...)
	s.WantLog(e.Log(), "signing with the key")
	s.proxies = append(s.proxies, g)
}

// kms has an agent whose key is in KMS, with an Envoy; throttle(true) has KMS refuse.
func (s *secretScene) kms() (throttle func(bool), agent string) {
	s.t.Helper()
	m := startMoto(s.t)
	_, arn := m.key(s.t, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	h := newThrottler(s.t, m)
	_, agent = s.Agent("kms", []string{
		"AWS_ACCESS_KEY_ID=AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY=" + s.Fresh("an AWS secret access key"),
		"AWS_SESSION_TOKEN=" + s.Fresh("an AWS session token"), "AWS_ENDPOINT_URL=" + h.URL, "AWS_REGION=eu-central-1",
		"KEST_AWS_KMS_KEY_ID=" + arn,
	}, "--identity", "kms")
	s.envoy("kms", s.setup("arn:aws:sts::"+motoAccount+":user/moto", "", "", "unix:"+agent), 200, 400)
	return h.on.Store, agent
}

func (s *secretScene) everything() {
	for _, g := range s.proxies {
		s.Traffic(g, s.visitor)
	}
}

// dump keeps all that is in the Redis, and in its files.
func (s *secretScene) dump() {
	s.t.Helper()
	o, err := redis.ParseURL(s.redis.url())
	if err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil || len(keys) == 0 {
		s.t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		value, err := c.Get(ctx, k).Result()
		if err != nil {
			s.t.Fatal(err)
		}
		s.Keep("the Redis's "+k, []byte(k+"\n"+value))
	}
	err = filepath.WalkDir(s.redis.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		s.Keep("the file "+path, data)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
