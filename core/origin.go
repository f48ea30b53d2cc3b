package core

// OriginPolicy decides whether a WebSocket may be opened from a page of this
// origin, for example "https://example.org": a browser lets any page open one to
// any server, with the user's cookies (RFC 6455 10.2). Loop thread only.
type OriginPolicy func(r *Request, origin string) bool
