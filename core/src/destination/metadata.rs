//! Where clouds serve metadata: credentials and settings of the machine that asks.
//!
//! Most do so at link-local addresses, which are refused as such. These tables hold what lies elsewhere, by
//! the documents of the clouds that are named beside each row, as of November 2026. A row that is added here is
//! added to `tests/data/destinations.txt`, too.

use core::net::{Ipv4Addr, Ipv6Addr};

pub(super) const NAMES: [&str; 12] = [
    // Google Cloud: https://docs.cloud.google.com/compute/docs/metadata/querying-metadata
    "metadata.google.internal",
    "metadata.google.com",
    "metadata.goog",
    // EC2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    "ec2.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "instance-data-service.ec2.internal",
    // Azure: https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
    "metadata.azure.com",
    // Tencent Cloud: https://www.tencentcloud.com/document/product/213/4934
    "metadata.tencentyun.com",
    // IBM Cloud: https://cloud.ibm.com/apidocs/vpc-identity
    "api.metadata.cloud.ibm.com",
    // Equinix Metal: https://docs.equinix.com/metal/server-metadata/metadata/
    "metadata.platformequinix.com",
    "metadata.packet.net",
];

pub(super) const V4: [Ipv4Addr; 3] = [
    // Alibaba Cloud: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure, the host's own services:
    // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    Ipv4Addr::new(168, 63, 129, 16),
    // Oracle Cloud Infrastructure Classic:
    // https://docs.oracle.com/en/cloud/cloud-at-customer/occ-get-started/retrieve-predefined-instance-metadata.html
    Ipv4Addr::new(192, 0, 0, 192),
];

pub(super) const V6: [Ipv6Addr; 7] = [
    // EC2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    // EKS Pod Identity: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google Cloud: https://docs.cloud.google.com/compute/docs/metadata/querying-metadata
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // Akamai: https://techdocs.akamai.com/cloud-computing/docs/metadata-service-api
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1),
    // Scaleway: https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init/
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    // Oracle Cloud Infrastructure, as in its own client:
    // https://github.com/oracle/oci-python-sdk, instance_principals_security_token_signer.py
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    // Alibaba Cloud, as in cloud-init's AliYun data source: https://github.com/canonical/cloud-init
    Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200),
];
