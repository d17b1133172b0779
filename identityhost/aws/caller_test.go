package aws_test

import (
	"context"
	"errors"
	"testing"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/kesttest"
)

// A role's sessions are one workload; a user is who it is (IDENTITY.md).
func TestWorkloadIDs(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_EDWARDS25519")
	for caller, want := range map[string]string{
		session: workload,
		"arn:aws:sts::111122223333:assumed-role/orders/i-0123456789abcdef0":                         workload,
		"arn:aws:sts::111122223333:assumed-role/orders/a=b,c.d@e-f+g_h":                             workload,
		"arn:aws-cn:sts::111122223333:assumed-role/orders/session":                                  "arn:aws-cn:iam::111122223333:role/orders",
		"arn:aws-us-gov:sts::111122223333:assumed-role/orders/session":                              "arn:aws-us-gov:iam::111122223333:role/orders",
		"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/me@e.example": "arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123456789abcdef",
		"arn:aws:iam::111122223333:user/batch":                                                      "arn:aws:iam::111122223333:user/batch",
		"arn:aws:iam::111122223333:user/teams/orders/batch":                                         "arn:aws:iam::111122223333:user/teams/orders/batch",
		"arn:aws:iam::111122223333:root":                                                            "arn:aws:iam::111122223333:root",
	} {
		s.setCaller(caller)
		if id := identity(t, open(t, s, keyID)); id.WorkloadID != want {
			t.Errorf("%s is the workload %s, want %s", caller, id.WorkloadID, want)
		}
	}
}

// Two sessions of a role are one workload: what one signs, the other's key list verifies.
func TestTwoSessionsAreOneWorkload(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	ids := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		s.setCaller("arn:aws:sts::111122223333:assumed-role/orders/" + name)
		p := open(t, s, keyID)
		kesttest.TestProvider(t, p)
		ids[identity(t, p).WorkloadID] = true
	}
	if len(ids) != 1 || !ids[workload] {
		t.Errorf("the workloads are %v", ids)
	}
}

// Whoever is no role and no user has no id; what is no ARN is no answer.
func TestCallersWithoutAnID(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	for caller, configuration := range map[string]bool{
		"arn:aws:sts::111122223333:federated-user/anything":     true, // its maker chooses the name
		"arn:aws:sts::111122223333:assumed-root":                true,
		"arn:aws:iam::111122223333:user/":                       true,
		"arn:aws:iam::111122223333:assumed-role/orders/session": true, // not STS's
		"arn:aws:sts::111122223333:assumed-role/orders":         false,
		"arn:aws:sts::111122223333:assumed-role/orders/":        false,
		"arn:aws:sts::111122223333:assumed-role//session":       false,
		"arn:aws:sts::111122223333:assumed-role/a/b/c":          false,
		"arn:aws:sts::1111:assumed-role/orders/session":         false,
		"arn:awsome:sts::111122223333:assumed-role/orders/s":    false,
		"arn:aws:sts::111122223333:assumed-role/or ders/s":      false,
		"orders": false,
	} {
		s.setCaller(caller)
		id, err := open(t, s, keyID).Identity(context.Background())
		if id != nil || !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrConfiguration) != configuration {
			t.Errorf("%s: %v", caller, err)
		}
	}
}

func agentCore(change func(map[string]string)) func(string) (string, bool) {
	variables := map[string]string{
		"AWS_BEDROCK_AGENT_ID": "AGENT12345", "AWS_BEDROCK_AGENT_ALIAS_ID": "TSTALIASID", "KEST_BEDROCK_KMS_KEY_ID": "alias/agent",
	}
	change(variables)
	return func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
}

func TestAgentCore(t *testing.T) {
	s := newServer(t)
	s.alias("alias/agent", s.add("ECC_NIST_P256"))
	p, err := aws.OpenAgentCore(agentCore(func(map[string]string) {}), aws.WithConfig(s.config()))
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestProvider(t, p)
	if id := identity(t, p).WorkloadID; id != "bedrock://"+account+"/agent/AGENT12345/alias/TSTALIASID" {
		t.Errorf("the workload is %s", id)
	}
}

func TestAgentCoreSaysWhatIsMissing(t *testing.T) {
	for _, name := range []string{aws.AgentIDVariable, aws.AgentAliasIDVariable, aws.AgentKeyIDVariable} {
		for _, change := range []func(map[string]string){
			func(m map[string]string) { delete(m, name) },
			func(m map[string]string) { m[name] = "" },
		} {
			_, err := aws.OpenAgentCore(agentCore(change))
			missing, ok := errors.AsType[*aws.MissingError](err)
			if !ok || len(missing.Variables) != 1 || missing.Variables[0] != name || !errors.Is(err, kest.ErrConfiguration) {
				t.Errorf("without %s: %v", name, err)
			}
		}
	}
	for _, name := range []string{aws.AgentIDVariable, aws.AgentAliasIDVariable} {
		for _, value := range []string{"a/../b", "a b", "ä", "a\n"} {
			_, err := aws.OpenAgentCore(agentCore(func(m map[string]string) { m[name] = value }))
			if !errors.Is(err, kest.ErrConfiguration) {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
}
