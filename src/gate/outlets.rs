//! Which outlets a floor has: from its settings to what runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mes::Mes;
use super::messages::Form;
use super::nats::Nats;
use super::outlet::Outlet;
use super::serve::ServeError;
use super::ways::{Post, Way, WayError};

/// Every outlet that can be, by the name of its cursor in the floor's folder.
pub(crate) const CURSORS: [&str; 4] = [DROPPED, WEBHOOK, NATS, MES];
const DROPPED: &str = "dropped";
const WEBHOOK: &str = "webhook";
const NATS: &str = "nats";
const MES: &str = "mes";

/// Whom a floor tells.
#[derive(Debug, Clone, Default)]
pub struct OutletSettings {
    /// Where a file is dropped for every disposition.
    pub drop: Option<PathBuf>,
    /// An address that is called, with what form of message.
    pub webhook: Option<(String, Form)>,
    /// What calls of the webhook are signed with.
    pub webhook_secret: Option<PathBuf>,
    /// A NATS server.
    pub nats: Option<NatsSettings>,
    /// A manufacturing system: an address, or a folder. It is asked before each run and told of each result.
    pub mes: Option<String>,
    /// The authority of those that are called by https.
    pub authority: Option<PathBuf>,
}

/// A NATS server, and what it is told.
#[derive(Debug, Clone)]
pub struct NatsSettings {
    pub url: String,
    pub form: Form,
    /// What subjects begin with.
    pub subject: String,
    /// A file with `user:password`, or a token.
    pub login: Option<PathBuf>,
}

/// The outlets, and who is asked before a run.
pub(crate) struct Opened {
    pub(crate) outlets: Vec<Outlet>,
    pub(crate) mes: Option<Arc<Mes>>,
}

impl OutletSettings {
    pub(crate) fn open(&self, floor: &str, data: &Path) -> Result<Opened, ServeError> {
        let mut outlets = Vec::new();
        if let Some(folder) = &self.drop {
            outlets.push(Outlet::open(DROPPED, floor, data, Form::Disposition, Way::Folder(folder.clone()))?);
        }
        if let Some((url, form)) = &self.webhook {
            let post = Post::of(url, self.authority.as_ref(), self.webhook_secret.as_ref())?;
            outlets.push(Outlet::open(WEBHOOK, floor, data, *form, Way::Post(post))?);
        }
        if let Some(NatsSettings { url, form, subject, login }) = &self.nats {
            let nats = Nats::of(url, subject, login.as_ref(), self.authority.as_ref())?;
            outlets.push(Outlet::open(NATS, floor, data, *form, Way::Nats(Box::new(nats)))?);
        }
        let Some(mes) = &self.mes else { return Ok(Opened { outlets, mes: None }) };
        let (way, asked) = if mes.contains("://") {
            let post = |url: &str| Post::of(url, self.authority.as_ref(), None);
            let results = format!("{}/results", mes.trim_end_matches('/'));
            (Way::Post(post(&results)?), Mes::Http(post(mes)?))
        } else {
            let folder = PathBuf::from(mes);
            let asked = Mes::folder(&folder);
            let asked = asked.map_err(|source| WayError::Io { path: folder.clone(), source })?;
            (Way::Folder(folder.join("results")), asked)
        };
        outlets.push(Outlet::open(MES, floor, data, Form::Result, way)?);
        Ok(Opened { outlets, mes: Some(Arc::new(asked)) })
    }
}
