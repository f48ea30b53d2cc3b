//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

func isLocalhost(host string) bool { return strings.EqualFold(host, "localhost") }

// hosts returns what to listen on, one socket each.
func (o *ListenOptions) hosts(host string) ([]string, error) {
	if o.Interface == "" {
		if o.BindInterface {
			return nil, errors.New("there is no interface to bind to")
		}
		return o.named(host), nil
	}
	ip, err := netip.ParseAddr(host)
	all := host == "" || err == nil && ip.IsUnspecified()
	if all && o.BindInterface {
		// The device says enough, also about addresses that it gets later.
		return []string{host}, nil
	}
	if err != nil && !all && !isLocalhost(host) {
		return nil, fmt.Errorf("interface %s: %q is no IP address", o.Interface, host)
	}
	own, err := o.addresses()
	if err != nil {
		return nil, err
	}
	if all {
		if ip.Is4() {
			own = slices.DeleteFunc(own, netip.Addr.Is6)
		}
		return texts(own), o.needs(own, "it has no address of the family")
	}
	var named []netip.Addr
	for _, h := range o.named(host) {
		if ip, err := netip.ParseAddr(h); err == nil && has(own, ip) {
			named = append(named, ip)
		}
	}
	return texts(named), o.needs(named, host+" is no address of it")
}

// named returns the addresses that a host stands for by itself.
func (o *ListenOptions) named(host string) []string {
	if !isLocalhost(host) {
		return []string{host}
	}
	// RFC 6761 6.3: always loopback, no resolver needed.
	switch o.Family {
	case IPv4:
		return []string{"127.0.0.1"}
	case IPv6:
		return []string{"::1"}
	}
	return []string{"127.0.0.1", "::1"}
}

func (o *ListenOptions) needs(addrs []netip.Addr, otherwise string) error {
	if len(addrs) == 0 {
		return fmt.Errorf("interface %s: %s: %w", o.Interface, otherwise, ErrAbsent)
	}
	return nil
}

// addresses returns those of the interface that the family allows, link-local
// ones with their zone.
func (o *ListenOptions) addresses() ([]netip.Addr, error) {
	ifi, err := net.InterfaceByName(o.Interface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w: %w", o.Interface, ErrAbsent, err)
	}
	list, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", o.Interface, err)
	}
	var own []netip.Addr
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ip = ip.Unmap()
		if !ok || o.Family == IPv4 && ip.Is6() || o.Family == IPv6 && ip.Is4() {
			continue
		}
		if ip.Is6() && ip.IsLinkLocalUnicast() {
			ip = ip.WithZone(o.Interface)
		}
		own = append(own, ip)
	}
	return own, nil
}

// has looks ip up, whether or not it names its zone.
func has(own []netip.Addr, ip netip.Addr) bool {
	return slices.ContainsFunc(own, func(a netip.Addr) bool {
		return a == ip || ip.Zone() == "" && a.WithZone("") == ip
	})
}

func texts(addrs []netip.Addr) []string {
	var t []string
	for _, a := range addrs {
		t = append(t, a.String())
	}
	return t
}
