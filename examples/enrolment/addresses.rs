//! Addresses that are imported: events without a type, appended under a condition.

use eventfold_es::{AggregateStore, AppendCondition, AppendError, NewEvent, Query, QueryItem, Tag};
use serde_json::json;

/// Claims an e-mail address for a student. False if another student has it.
pub(crate) async fn claim(
    store: &AggregateStore,
    student: &str,
    address: &str,
) -> anyhow::Result<bool> {
    let tag = Tag::new("email", address)?;
    let of_address = Query::of(QueryItem::of_type("EmailClaimed").with_tag(tag.clone()));
    let found = store.query(of_address.clone()).read().await?;
    if !found.events.is_empty() {
        return Ok(false);
    }
    let claimed = NewEvent::new("EmailClaimed", &json!({ "student": student }))?.with_tag(tag);
    // Somebody may claim it meanwhile.
    let unclaimed = AppendCondition::no_event_matches(of_address).after(found.position);
    match store.append([claimed], Some(unclaimed)).await {
        Ok(_) => Ok(true),
        Err(AppendError::ConditionFailed) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_of_many_who_claim_an_address_at_once_gets_it() -> anyhow::Result<()> {
        let store = AggregateStore::in_memory().open().await?;
        let claims: Vec<_> = (0..16)
            .map(|i| {
                let store = store.clone();
                tokio::spawn(async move { claim(&store, &format!("s-{i}"), "a@example.com").await })
            })
            .collect();
        let mut got = 0;
        for claim in claims {
            got += usize::from(claim.await??);
        }
        assert_eq!(got, 1);
        Ok(())
    }
}
