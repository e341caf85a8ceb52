//! Who gets the page, and with which headers; and that the sign-in of development mode exists nowhere else. What the page
//! does is tested in a browser: `browser/`.

use gatekey_e2e::{Server, Start, TestIssuer};
use reqwest::header::HeaderMap;
use tempfile::TempDir;

/// The status, the headers and the body.
async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let request = client.get(format!("http://{}{path}", server.http));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.expect("the server is there");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.text().await.expect("text"))
}

async fn sign_in(
    server: &Server,
    path: &str,
    form: &'static str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap) {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let request = client.post(format!("http://{}{path}", server.http)).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.expect("the server is there");
    (response.status().as_u16(), response.headers().clone())
}

fn development(args: &[&str]) -> (TempDir, Server) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(args.iter().copied()).start();
    (folder, server)
}

fn cookie(headers: &HeaderMap) -> String {
    headers["set-cookie"].to_str().expect("text").split(';').next().expect("a cookie").to_owned()
}

/// The first asset that a document names.
fn asset(html: &str) -> &str {
    let (_, rest) = html.split_once("<script type=\"module\" src=\"").expect("a script");
    rest.split_once('"').expect("the end of it").0
}

#[tokio::test(flavor = "multi_thread")]
async fn in_development_mode_people_choose_who_they_are() {
    let (_folder, server) = development(&[]);
    let (status, headers, _) = get(&server, "/", &[]).await;
    assert_eq!((status, &headers["location"]), (303, &"/dev/sign-in".parse().expect("text")));
    assert_eq!(get(&server, "/dev/sign-in", &[]).await.0, 200);

    let (status, headers) =
        sign_in(&server, "/dev/sign-in", "tenant=acme&role=developer&role=admin", &[]).await;
    assert_eq!((status, &headers["location"]), (303, &"/".parse().expect("text")));
    let set = headers["set-cookie"].to_str().expect("text");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    let session = cookie(&headers);
    let (status, headers, page) = get(&server, "/", &[("cookie", &session)]).await;
    assert_eq!(status, 200);
    assert!(page.contains("API keys"));
    let policy = headers["content-security-policy"].to_str().expect("text");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(headers["cache-control"], "no-store");
    let (_, headers, _) = get(&server, "/", &[("cookie", &session), ("accept-encoding", "gzip")]).await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    let (_, _, user) = get(&server, "/api/v3/user", &[("cookie", &session)]).await;
    assert_eq!(user, r#"{"result":{"roles":[{"value":"developer"},{"value":"admin"}]}}"#);

    // A session without the role gets none of the page, and no tokens.
    let (_, headers) = sign_in(&server, "/dev/sign-in", "tenant=acme&role=admin", &[]).await;
    let admin = cookie(&headers);
    let (status, _, notice) = get(&server, "/", &[("cookie", &admin)]).await;
    assert!(status == 403 && notice.contains("developers") && notice.contains("/dev/sign-in"));
    assert_eq!(get(&server, "/api/v3/tokens", &[("cookie", &admin)]).await.0, 403);

    let (status, headers) = sign_in(&server, "/dev/sign-in", "tenant=&role=developer", &[]).await;
    assert!(status == 422 && !headers.contains_key("set-cookie"));
    let other = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    let (status, headers) = sign_in(&server, "/dev/sign-in", "tenant=acme&role=developer", &other).await;
    assert!(status == 403 && !headers.contains_key("set-cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_development_mode_there_is_no_sign_in() {
    let folder = TempDir::new().expect("a folder");
    let issuer = TestIssuer::new("https://login.example.com");
    let start = Start::in_folder(folder.path()).trusting(&issuer, folder.path());
    let server =
        start.clone().args(["--home-url", "https://home.example.com/", "--next-step", "Docs=/docs"]).start();
    assert_eq!(get(&server, "/dev/sign-in", &[]).await.0, 404);
    assert_eq!(sign_in(&server, "/dev/sign-in", "tenant=acme&role=developer", &[]).await.0, 404);

    // Not even a good JWT is taken from a cookie.
    let jwt = |roles: &[&str]| issuer.sign(&issuer.claims("ann", roles, Some("acme")));
    let developer = jwt(&["developer"]);
    let name = format!("gatekey-development-{}", server.http.port());
    let as_cookie = format!("{name}={developer}");
    assert_eq!(get(&server, "/api/v3/user", &[("cookie", &as_cookie)]).await.0, 401);
    assert_eq!(get(&server, "/", &[("cookie", &as_cookie)]).await.0, 401);

    let bearer = |jwt: &str| format!("Bearer {jwt}");
    let (status, _, page) = get(&server, "/", &[("authorization", &bearer(&developer))]).await;
    assert!(status == 200 && page.contains(r#"<a href="/docs">Docs</a>"#) && !page.contains("{{"));
    for roles in [&["admin"][..], &[]] {
        let (status, headers, body) = get(&server, "/", &[("authorization", &bearer(&jwt(roles)))]).await;
        assert_eq!(
            (status, &headers["location"]),
            (303, &"https://home.example.com/".parse().expect("text"))
        );
        assert!(body.is_empty());
    }

    // Without a home they are told.
    drop(server);
    let server = start.start();
    let (status, headers, notice) = get(&server, "/", &[("authorization", &bearer(&jwt(&[])))]).await;
    assert!(status == 403 && !notice.contains("dev/sign-in") && !headers.contains_key("location"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_assets_live_under_the_base_path() {
    let (_folder, server) = development(&["--base-path", "/tools/keys"]);
    let (status, headers, _) = get(&server, "/tools/keys", &[]).await;
    assert_eq!((status, &headers["location"]), (308, &"/tools/keys/".parse().expect("text")));
    assert_eq!(get(&server, "/", &[]).await.0, 404);
    let (status, headers) =
        sign_in(&server, "/tools/keys/dev/sign-in", "tenant=acme&role=developer", &[]).await;
    assert_eq!(status, 303);
    let session = cookie(&headers);
    let (status, _, page) = get(&server, "/tools/keys/", &[("cookie", &session)]).await;
    assert_eq!(status, 200);
    let script = asset(&page);
    assert!(script.starts_with("/tools/keys/assets/"), "{script}");
    let (status, headers, _) = get(&server, script, &[]).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/javascript; charset=utf-8".parse().expect("text"))
    );
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    let (_, headers, _) = get(&server, script, &[("accept-encoding", "gzip")]).await;
    assert_eq!(headers["content-encoding"], "gzip");
    // While servers are replaced, another version may be asked for; nobody keeps what it gets.
    let (_, name) = script.rsplit_once('/').expect("a name");
    let (status, headers, _) = get(&server, &format!("/tools/keys/assets/0000/{name}"), &[]).await;
    assert_eq!((status, &headers["cache-control"]), (200, &"no-store".parse().expect("text")));
    for path in ["/tools/keys/assets/0000/none.js", "/tools/keys/assets/0000/../../x", "/tools/keys/assets/"]
    {
        assert_eq!(get(&server, path, &[]).await.0, 404, "{path}");
    }
    for path in ["/tools/keys/api/v3/user", "/api/v3/user"] {
        assert_eq!(get(&server, path, &[("cookie", &session)]).await.0, 200, "{path}");
    }
}
