//! The endpoints that the page is about.

pub(crate) use pilot_webhook_std::{Hub, HubEndpoint};
