package mount

import (
	"path"
	"strings"
)

// types maps suffixes to media types.
var types = map[string]string{
	".html": "text/html", ".htm": "text/html", ".js": "text/javascript", ".mjs": "text/javascript",
	".css": "text/css", ".txt": "text/plain", ".md": "text/markdown", ".csv": "text/csv",
	".xml": "application/xml", ".json": "application/json", ".map": "application/json",
	".webmanifest": "application/manifest+json", ".wasm": "application/wasm", ".pdf": "application/pdf",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".avif": "image/avif", ".ico": "image/x-icon", ".svg": "image/svg+xml", ".bmp": "image/bmp",
	".ttf": "font/ttf", ".otf": "font/otf", ".woff": "font/woff", ".woff2": "font/woff2",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".wav": "audio/wav", ".m4a": "audio/mp4", ".flac": "audio/flac",
	".mp4": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime",
	".gz": "application/gzip", ".zip": "application/zip", ".tar": "application/x-tar", ".bz2": "application/x-bzip2",
	".xz": "application/x-xz", ".zst": "application/zstd", ".7z": "application/x-7z-compressed",
	".ics": "text/calendar", ".rtf": "application/rtf", ".epub": "application/epub+zip",
}

// typeOf returns the media type of a name, "" for none.
func (o *Options) typeOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := o.MIME[ext]; ok {
		return withCharset(t)
	}
	if t, ok := types[ext]; ok {
		return withCharset(t)
	}
	if t, ok := o.MIME["*"]; ok {
		return withCharset(t)
	}
	return "application/octet-stream"
}

// withCharset names the encoding of text, which would else be guessed.
func withCharset(t string) string {
	if strings.HasPrefix(t, "text/") && !strings.Contains(t, "charset") {
		return t + "; charset=utf-8"
	}
	return t
}
