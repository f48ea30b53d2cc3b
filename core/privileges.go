package core

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"

	"anyloop/core/sys"
)

// Privileges says who a program that was started as root goes on as, and what it
// takes along: the listening sockets of its vhosts, the contents of files, and
// single capabilities.
type Privileges struct {
	// User is the user to become, with all the groups that it is a member of.
	// If it is empty, UID is.
	User string
	UID  int
	// Group is the primary group. If it is empty, GID is; if that is 0, the
	// user's own.
	Group string
	GID   int
	// Keep are capabilities that remain. The programs that this one starts have
	// them too.
	Keep []Capability
	// Files are read while root still can, like the key of a certificate; Drop
	// returns what is in them.
	Files []string
}

// Capability is a part of root's power, by its number in the kernel's
// linux/capability.h.
type Capability int

// The capabilities that a server may want to keep.
const (
	CapNetBindService Capability = 10 // ports below 1024, for vhosts that come later
	CapNetAdmin       Capability = 12
	CapNetRaw         Capability = 13 // VHost.BindInterface on old kernels, for vhosts that come later
)

const maxCapability = 63

func (c Capability) String() string {
	switch c {
	case CapNetBindService:
		return "CAP_NET_BIND_SERVICE"
	case CapNetAdmin:
		return "CAP_NET_ADMIN"
	case CapNetRaw:
		return "CAP_NET_RAW"
	}
	return "capability " + strconv.Itoa(int(c))
}

var (
	errNoUser   = errors.New("Privileges has neither User nor UID to become")
	errStayRoot = errors.New("Privileges.User is root")
)

// Drop gives root's privileges up. Call it at the beginning of main, once, since
// everything before it happens twice: as root, Drop opens the sockets that the
// vhosts of cfg listen on, reads the files, and starts the program anew in the
// same process, as the user. In there Drop returns what the files contain, by
// name, and has put the sockets into cfg: New gives each to the vhosts with the
// same Addr, Interface, BindInterface and Family. Nothing else of cfg is used yet.
// Arguments, environment, working directory and descriptors 0 to 2 stay.
//
// Started by somebody else than root there is nothing to drop: that is logged, and
// the files are read as they can be.
//
// On an error, return from main: nothing was given up. Linux only; on other
// systems root gets an error that matches errors.ErrUnsupported. The user must be
// allowed to execute the program's file. A VHost.Listener cannot be taken along.
// Before New only.
func (p Privileges) Drop(cfg *Config) (files map[string][]byte, err error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	left, err := takeLeft()
	if err != nil {
		return nil, fmt.Errorf("core: what was left before the drop of privileges: %w", err)
	}
	if left != nil {
		cfg.inherited = &inheritance{socks: left.Sockets}
		log.Info("privileges dropped", "uid", os.Geteuid(), "gid", os.Getegid(), "kept", fmt.Sprint(p.Keep))
		return left.Files, nil
	}
	if os.Geteuid() != 0 {
		log.Warn("not started as root: there are no privileges to drop", "uid", os.Geteuid())
		return p.readFiles()
	}
	if !sys.CanBecome {
		return nil, fmt.Errorf("core: dropping privileges: %w", errors.ErrUnsupported)
	}
	id, err := p.identity()
	if err != nil {
		return nil, fmt.Errorf("core: dropping privileges: %w", err)
	}
	return nil, p.leave(cfg, id)
}

func (p *Privileges) readFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range p.Files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("core: %w", err)
		}
		files[name] = b
	}
	return files, nil
}

// identity looks the names up, as initgroups(3) does.
func (p *Privileges) identity() (id sys.Identity, err error) {
	u, err := p.user()
	if err != nil {
		return id, err
	}
	if id.UID, err = strconv.Atoi(u.Uid); err != nil {
		return id, err
	}
	if id.UID == 0 {
		return id, errStayRoot
	}
	if p.Group != "" {
		g, err := user.LookupGroup(p.Group)
		if err != nil {
			return id, err
		}
		u.Gid = g.Gid
	} else if p.GID != 0 {
		u.Gid = strconv.Itoa(p.GID)
	}
	if id.GID, err = strconv.Atoi(u.Gid); err != nil {
		return id, fmt.Errorf("user %d is unknown here, so GID is needed", id.UID)
	}
	id.Groups = []int{id.GID}
	if u.Username != "" {
		if id.Groups, err = groupsOf(u); err != nil {
			return id, err
		}
	}
	for _, c := range p.Keep {
		if c < 0 || c > maxCapability {
			return id, fmt.Errorf("there is no %v", c)
		}
		id.Keep = append(id.Keep, int(c))
	}
	return id, nil
}

// user is who to become; one without a name if it is a number that nobody has.
func (p *Privileges) user() (*user.User, error) {
	switch {
	case p.User != "":
		return user.Lookup(p.User)
	case p.UID <= 0:
		return nil, errNoUser
	}
	u, err := user.LookupId(strconv.Itoa(p.UID))
	if unknown := user.UnknownUserIdError(0); errors.As(err, &unknown) {
		return &user.User{Uid: strconv.Itoa(p.UID)}, nil
	}
	return u, err
}

// groupsOf returns u.Gid and all groups that u is a member of.
func groupsOf(u *user.User) ([]int, error) {
	names, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, n := range names {
		g, err := strconv.Atoi(n)
		if err != nil {
			return nil, err
		}
		ids = append(ids, g)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// threadCount is how many service threads New will make.
func (c *Config) threadCount() int { return min(cmp.Or(max(c.Threads, 0), 1), maxThreads) }
