package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/detect"
	"kest.example/kest/internal/draw"
)

type identityCmd struct {
	Identity string `enum:"auto,spire,kms,agentcore,oidc,local" default:"auto" placeholder:"KIND" help:"The provider: ${enum}; auto takes the first that is there."`
	JSON     bool   `name:"json" help:"Print the result as JSON."`
}

func (identityCmd) Help() string {
	return "Example:\n  kest identity --json\n\n" +
		"Prints the identity that this workload has here, and why each provider was taken or not. " +
		"Exits 1 where the provider that was taken can't be used; another one never takes its place."
}

// identityTimeout bounds how long a provider may take to have an identity.
const identityTimeout = 15 * time.Second

// identified is what identity --json prints (DESIGN 7).
type identified struct {
	Provider   string              `json:"provider"`
	WorkloadID string              `json:"workload_id"`
	Algorithm  string              `json:"algorithm"`
	Key        json.RawMessage     `json:"key"`
	NotAfter   *string             `json:"not_after"` // RFC 3339; null: it doesn't end
	Considered []detect.Considered `json:"considered"`
}

// Run finds the identity and shows it.
func (f *identityCmd) Run(c console) error {
	ctx, cancel := context.WithTimeout(context.Background(), identityTimeout)
	defer cancel()
	opened, id, err := f.find(ctx)
	var failed *detect.Error
	if errors.As(err, &failed) {
		fmt.Fprintln(c.err, "kest:", draw.Visible(failed.Error()))
		return errNo
	}
	if err != nil {
		return err
	}
	out := identified{
		Provider: opened.Kind, WorkloadID: id.WorkloadID, Algorithm: id.Key.Algorithm(),
		Key: json.RawMessage(id.Key.JWK()), Considered: opened.Considered,
	}
	if !id.NotAfter.IsZero() {
		end := id.NotAfter.UTC().Format(time.RFC3339)
		out.NotAfter = &end
	}
	if f.JSON {
		writeJSON(c, out)
		return nil
	}
	out.print(c, id.Key.Thumbprint())
	return nil
}

func (f *identityCmd) find(ctx context.Context) (*detect.Opened, *kest.Identity, error) {
	opened, err := detect.Open(ctx, f.Identity, os.LookupEnv, detect.Probe())
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = opened.Close() }() // it has said what it knows
	id, err := opened.Await(ctx)
	return opened, id, err
}

func (out *identified) print(c console, thumbprint string) {
	end := "has no end"
	if out.NotAfter != nil {
		end = *out.NotAfter
	}
	fmt.Fprintf(c.out, "provider  %s\nworkload  %s\nkey       %s %s\nuntil     %s\n\n",
		out.Provider, draw.Visible(out.WorkloadID), out.Algorithm, thumbprint, end)
	for _, k := range out.Considered {
		word := "no"
		if k.Taken {
			word = "taken"
		}
		fmt.Fprintf(c.out, "%-9s  %-5s  %s\n", k.Provider, word, draw.Visible(k.Reason))
	}
}
