//! Access rules: which token a route asks for. Routes are matched by the router that axum and tonic themselves use, over
//! the very path that they see, so that no spelling of a path gets by another rule than the router's.

use std::fmt;
use std::sync::Arc;

use gatekey_access::{Refusal, Rule};
use gatekey_model::TokenType;
use http::Method;

use readings::{pattern_decoded, readings};

mod readings;

/// Which token each route asks for. A route without a rule is refused.
///
/// One rule for all of a service:
///
/// ```
/// use gatekey_interceptor::Access;
///
/// let access = Access::realtime();
/// ```
///
/// Or a table. A pattern is a path as axum's router has it, `{name}` for one segment and `{*rest}` for all that is left;
/// a method before it makes it stricter. A gRPC method is the path `/package.Service/Method`:
///
/// ```
/// use gatekey_interceptor::{Access, Rule};
///
/// let access = Access::routes([
///     ("/transcribe.v1.RealtimeService/{method}", Rule::Realtime),
///     ("/transcribe.v1.BatchService/{method}", Rule::Batch),
///     ("GET /v1/jobs/{id}", Rule::Any),
///     ("POST /v1/uploads", Rule::Batch),
///     ("/grpc.health.v1.Health/{method}", Rule::Public),
/// ])?;
/// # Ok::<(), gatekey_interceptor::InvalidAccess>(())
/// ```
///
/// A table that is written in the code is right or wrong whenever the service starts: `expect` it, and a test of the service
/// finds out.
///
/// Paths are compared byte for byte, as the routers do it: case, a slash at the end, doubled slashes and percent-encoding
/// all make another path, which the router does not know either.
///
/// What `{name}` and `{*rest}` stand for is read by the handler, who may take more than one spelling for the same: a server
/// of files decodes it and leaves out what is empty. So the request is refused if what it may be read as has another rule:
/// decoded, without empty segments and `.`, and as the index of its folder. So it is with `..`. That case does not matter to a
/// file system is not known here.
///
/// As axum does, HEAD goes by the rule of GET where it has none of its own. Put the layer where the router sees the same
/// path: inside of `Router::nest`, not outside, if the patterns are written without the prefix.
#[derive(Clone)]
pub struct Access(Kind);

#[derive(Clone)]
enum Kind {
    All(Rule),
    Routes(Arc<Table>),
}

struct Table {
    /// By the number of their route.
    router: matchit::Router<usize>,
    /// The same patterns decoded: some may be the same then. It is asked what a handler may read, never what came.
    read: matchit::Router<Vec<usize>>,
    routes: Vec<Route>,
    /// As they were written, for people.
    rows: Vec<(String, Rule)>,
}

/// The rules of one path.
#[derive(Default)]
struct Route {
    any: Option<Rule>,
    methods: Vec<(Method, Rule)>,
}

/// What is wrong with a table of rules: all of it at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct InvalidAccess(Vec<String>);

impl InvalidAccess {
    /// Each problem, with the pattern that has it.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl Access {
    /// Every route asks for a batch token.
    #[must_use]
    pub const fn batch() -> Self {
        Self(Kind::All(Rule::Batch))
    }

    /// Every route asks for a realtime token.
    #[must_use]
    pub const fn realtime() -> Self {
        Self(Kind::All(Rule::Realtime))
    }

    /// Every route asks for a token of any type.
    #[must_use]
    pub const fn any() -> Self {
        Self(Kind::All(Rule::Any))
    }

    /// Each route asks for what its row says, and a route without a row is refused.
    ///
    /// # Errors
    /// All that is wrong with the table: no rows, a pattern that is not one, one that is there twice or that can't be told
    /// from another.
    pub fn routes<P: AsRef<str>>(rows: impl IntoIterator<Item = (P, Rule)>) -> Result<Self, InvalidAccess> {
        let rows: Vec<(String, Rule)> =
            rows.into_iter().map(|(pattern, rule)| (pattern.as_ref().to_owned(), rule)).collect();
        let mut problems = Vec::new();
        let mut paths: Vec<(&str, Route)> = Vec::new();
        for (pattern, rule) in &rows {
            let (method, path) = match parse(pattern) {
                Ok(parsed) => parsed,
                Err(problem) => {
                    problems.push(format!("`{pattern}`: {problem}"));
                    continue;
                }
            };
            let number = paths.iter().position(|(other, _)| *other == path).unwrap_or_else(|| {
                paths.push((path, Route::default()));
                paths.len() - 1
            });
            if !paths[number].1.add(method, *rule) {
                problems.push(format!("`{pattern}`: it is there twice"));
            }
        }
        let mut router = matchit::Router::new();
        let mut decoded: Vec<(String, Vec<usize>)> = Vec::new();
        for (number, (path, _)) in paths.iter().enumerate() {
            if let Err(problem) = router.insert(*path, number) {
                problems.push(format!("`{path}`: {problem}"));
            }
            let path = pattern_decoded(path);
            match decoded.iter_mut().find(|(other, _)| *other == path) {
                Some((_, numbers)) => numbers.push(number),
                None => decoded.push((path, vec![number])),
            }
        }
        let mut read = matchit::Router::new();
        for (path, numbers) in decoded {
            if let Err(problem) = read.insert(&path, numbers)
                && problems.is_empty()
            {
                problems.push(format!("`{path}`, which others are once they are decoded: {problem}"));
            }
        }
        let routes = paths.into_iter().map(|(_, route)| route).collect();
        if rows.is_empty() {
            problems.push("there must be at least one route".to_owned());
        }
        if problems.is_empty() {
            Ok(Self(Kind::Routes(Arc::new(Table { router, read, routes, rows }))))
        } else {
            Err(InvalidAccess(problems))
        }
    }

    /// What the route of this request asks for. `path` is that of the request's URI, as it came.
    ///
    /// # Errors
    /// [`Refusal::NoRule`] if nothing says so.
    pub fn rule(&self, method: &Method, path: &str) -> Result<Rule, Refusal> {
        let table = match &self.0 {
            Kind::All(rule) => return Ok(*rule),
            Kind::Routes(table) => table,
        };
        let route = table.router.at(path).map_err(|_| Refusal::NoRule)?;
        let rule = table.routes[*route.value].rule(method).ok_or(Refusal::NoRule)?;
        if route.params.is_empty() {
            return Ok(rule);
        }
        // The router takes nothing between two slashes for a segment.
        let is_empty = route.params.iter().any(|(_, taken)| taken.is_empty());
        let last = route.params.iter().last().map_or("", |(_, taken)| taken);
        let same = |other: &str| {
            let Ok(others) = table.read.at(other) else { return true };
            others.value.iter().all(|other| table.routes[*other].rule(method) == Some(rule))
        };
        if is_empty || !readings(path, last).is_some_and(|readings| readings.iter().all(|other| same(other)))
        {
            return Err(Refusal::NoRule);
        }
        Ok(rule)
    }
}

impl Route {
    /// Whether there was no such rule before.
    fn add(&mut self, method: Option<Method>, rule: Rule) -> bool {
        match method {
            None => self.any.replace(rule).is_none(),
            Some(method) => {
                let new = self.of(&method).is_none();
                self.methods.push((method, rule));
                new
            }
        }
    }

    fn rule(&self, method: &Method) -> Option<Rule> {
        let as_get = || (*method == Method::HEAD).then(|| self.of(&Method::GET)).flatten();
        self.of(method).or_else(as_get).or(self.any)
    }

    fn of(&self, method: &Method) -> Option<Rule> {
        self.methods.iter().find(|(other, _)| other == method).map(|(_, rule)| *rule)
    }
}

fn parse(pattern: &str) -> Result<(Option<Method>, &str), String> {
    let (method, path) = match pattern.split_once(' ') {
        None => (None, pattern),
        Some((method, path)) => (Some(method), path),
    };
    if !path.starts_with('/') {
        return Err("a path begins with a slash, as in `/v1/jobs/{id}` or `POST /v1/jobs`".to_owned());
    }
    if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#')) {
        return Err(format!("a path has no {odd:?}; write it as it is sent, percent-encoded"));
    }
    let method = method.map(|name| {
        let upper = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        Method::from_bytes(name.as_bytes())
            .ok()
            .filter(|_| upper)
            .ok_or_else(|| format!("`{name}` is not a method, as in `POST`"))
    });
    Ok((method.transpose()?, path))
}

/// Every route goes by this rule.
impl From<Rule> for Access {
    fn from(rule: Rule) -> Self {
        Self(Kind::All(rule))
    }
}

impl From<TokenType> for Access {
    fn from(kind: TokenType) -> Self {
        match kind {
            TokenType::Batch => Self::batch(),
            TokenType::Realtime => Self::realtime(),
        }
    }
}

/// The table as it was written.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::All(rule) => f.debug_tuple("Access").field(rule).finish(),
            Kind::Routes(table) => {
                let rows = table.rows.iter().map(|(pattern, rule)| (pattern, rule));
                f.debug_map().entries(rows).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests;
