// An HTTPS server: server PORT SETTING. Its certificate and key are in the folder.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
)

func main() {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	body := "ok"
	switch os.Args[2] {
	case "X25519":
		config.CurvePreferences = []tls.CurveID{tls.X25519}
	case "P-256":
		config.CurvePreferences = []tls.CurveID{tls.CurveP256}
	case "P-384":
		config.CurvePreferences = []tls.CurveID{tls.CurveP384}
	case "asks":
		config.ClientAuth = tls.RequestClientCert
	case "wants":
		clients, err := os.ReadFile("clients")
		if err != nil {
			panic(err)
		}
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(clients)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	case "1.2":
		config.MaxVersion = tls.VersionTLS12
	case "long":
		body = strings.Repeat("x", 10000)
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			w.WriteHeader(202)
		}
		w.Write([]byte(body))
	}
	server := &http.Server{
		Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(answer), TLSConfig: config,
	}
	panic(server.ListenAndServeTLS("chain", "key"))
}
