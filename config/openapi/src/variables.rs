//! AWS's variables in a document: `${AWS::AccountId}`, `${AWS::Region}`, `${AWS::Partition}` (row 142). They are replaced
//! when it is read; what else looks like a variable stays.

/// What stands for AWS's variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    /// Twelve digits.
    pub account_id: String,
    /// `us-east-1` and the like.
    pub region: String,
    /// `aws`.
    pub partition: String,
}

impl Default for Variables {
    /// What local stand-ins of AWS say.
    fn default() -> Self {
        Self { account_id: "000000000000".into(), region: "us-east-1".into(), partition: "aws".into() }
    }
}

impl Variables {
    /// A text with the variables replaced.
    pub fn replace(&self, text: &str) -> String {
        if !text.contains("${AWS::") {
            return text.to_owned();
        }
        text.replace("${AWS::AccountId}", &self.account_id)
            .replace("${AWS::Region}", &self.region)
            .replace("${AWS::Partition}", &self.partition)
    }
}
