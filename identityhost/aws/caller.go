package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// caller is who STS says that the credentials belong to.
type caller struct {
	account string // 12 digits
	name    string // the whole ARN
	arn     arn
}

const callerCall = "sts:GetCallerIdentity"

func (c *clients) whoAmI(ctx context.Context) (caller, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return caller{}, failed(callerCall, "", err)
	}
	who := caller{account: value(out.Account), name: value(out.Arn)}
	var ok bool
	if who.arn, ok = parseARN(who.name); !ok || !isAccount(who.account) || who.arn.account != who.account {
		return caller{}, broken(callerCall, "", "it holds no account and ARN that agree")
	}
	return who, nil
}

// workloadID is the id by which this workload signs (IDENTITY.md): a role's
// sessions are one workload. Other callers, such as federated users, whose names
// their makers choose freely, have none.
func (c caller) workloadID() (string, error) {
	kind, rest, _ := strings.Cut(c.arn.resource, "/")
	switch {
	case c.arn.service == "sts" && kind == "assumed-role":
		role, session, ok := strings.Cut(rest, "/")
		if !ok || role == "" || session == "" || strings.Contains(session, "/") {
			return "", broken(callerCall, "", "its assumed role is not of the form ROLE/SESSION")
		}
		return "arn:" + c.arn.partition + ":iam::" + c.account + ":role/" + role, nil
	case kind == "user" && rest != "", c.arn.service == "iam" && c.arn.resource == "root":
		return c.name, nil
	}
	return "", unfit(callerCall, "", "the credentials are those of "+clean(kind)+", neither a role's nor a user's")
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
