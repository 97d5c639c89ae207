//! Requests to hosts about data: read a file, convert a node, check it.

use std::time::Duration;

use ferry_plugin_abi::method;
use ferry_plugin_proto::{Check, DataReply, Migrate, ReadData, Validated, encode};

use super::{Digest, Hosts, Result, host::Request, pool::read_reply};

impl Hosts {
    /// Has a plugin read a file as a data type.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    pub async fn read_data(
        &self,
        digest: &Digest,
        request: &ReadData,
        deadline: Duration,
    ) -> Result<DataReply> {
        let what = format!("reading `{}` as {}", request.name, request.data_type);
        let payload = encode(request);
        let asked = Request { what: &what, method: method::READ_DATA, payload: &payload, deadline };
        self.ask(digest, asked).await.and_then(|reply| read_reply(&reply, &what))
    }

    /// Has a plugin convert a data node into another form.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    pub async fn migrate(&self, digest: &Digest, request: &Migrate, deadline: Duration) -> Result<DataReply> {
        let Migrate::Data { node, .. } = request;
        let what = format!("converting a {}", node.data_type);
        let payload = encode(request);
        let asked = Request { what: &what, method: method::MIGRATE, payload: &payload, deadline };
        self.ask(digest, asked).await.and_then(|reply| read_reply(&reply, &what))
    }

    /// Has a plugin check data nodes.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    pub async fn check(&self, digest: &Digest, request: &Check, deadline: Duration) -> Result<Validated> {
        let what = "checking data";
        let payload = encode(request);
        let asked = Request { what, method: method::CHECK, payload: &payload, deadline };
        self.ask(digest, asked).await.and_then(|reply| read_reply(&reply, what))
    }
}
