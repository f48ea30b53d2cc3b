package core

import "anyloop/core/header"

// newH1 returns a role, a used one if there is one: nobody else holds them.
func (th *Thread) newH1(s *site) *h1Role {
	var r *h1Role
	if n := len(th.spareH1); n > 0 {
		r, th.spareH1 = th.spareH1[n-1], th.spareH1[:n-1]
	} else {
		r = &h1Role{}
	}
	*r = h1Role{site: s, keep: true, plain: PlainServe}
	return r
}

// spareRoles bounds the roles, and the requests, that are kept for reuse.
const spareRoles = 64

// left keeps the role for reuse if the link has become something else.
func (r *h1Role) left(l *link) {
	if th := l.th; l.role != role(r) && r.req == nil && len(th.spareH1) < spareRoles {
		th.spareH1 = append(th.spareH1, r)
	}
}

// newRequest returns a request, a used one if there is one that no handler has
// seen.
func (th *Thread) newRequest(c *Conn, t *header.Table) *Request {
	var r *Request
	if n := len(th.spareReq); n > 0 {
		r, th.spareReq = th.spareReq[n-1], th.spareReq[:n-1]
	} else {
		r = &Request{}
	}
	r.c, r.table = c, t
	return r
}

// oldRequest keeps a request for reuse. One that a handler has seen it may hold
// still.
func (th *Thread) oldRequest(r *Request) {
	if !r.shown && len(th.spareReq) < spareRoles {
		*r = Request{}
		th.spareReq = append(th.spareReq, r)
	}
}
