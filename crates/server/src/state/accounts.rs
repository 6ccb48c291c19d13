//! Users, their sessions and the one-time set-up token.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};
use wanglou_model::Timestamp;

use super::entity::{session, setup_token, user};
use super::{State, StateError};

/// Bytes of a secret before it is written in hexadecimal: 256 bits, beyond guessing.
const SECRET_BYTES: usize = 32;

/// A secret that a client presents: a session cookie, a source's token, a set-up token. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one from the system's randomness, marked with what it is for (`wls_…`), so that secret scanners know it.
    pub(crate) fn generate(mark: &str) -> Self {
        Self(format!("{mark}_{}", hex::encode(rand::random::<[u8; SECRET_BYTES]>())))
    }

    /// As a client presented it.
    pub(crate) fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its text, for the one time it is shown.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. A plain hash is enough: the secret has 256 random bits.
    pub(crate) fn hash(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex().to_string()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A user with a live session.
#[derive(Clone, Debug)]
pub(crate) struct LoggedOn {
    /// The name to log on with.
    pub name: String,
    /// What the user may do.
    pub role: String,
}

impl State {
    /// Whether there is any user.
    pub(crate) async fn has_users(&self) -> Result<bool, StateError> {
        Ok(user::Entity::find().count(&self.db).await? > 0)
    }

    /// Replaces the set-up token.
    pub(crate) async fn put_setup_token(&self, token: &Secret, expires: Timestamp) -> Result<(), StateError> {
        let transaction = self.begin().await?;
        setup_token::Entity::delete_many().exec(&transaction).await?;
        let row =
            setup_token::ActiveModel { token_hash: Set(token.hash()), expires_at: Set(expires.nanos()) };
        setup_token::Entity::insert(row).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Uses the set-up token up and creates the first user; false when the token is not the one, or too old, or there
    /// is a user already.
    pub(crate) async fn set_up(
        &self,
        token: &Secret,
        name: &str,
        role: &str,
        password_hash: String,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let transaction = self.begin().await?;
        let used = setup_token::Entity::delete_many()
            .filter(setup_token::Column::TokenHash.eq(token.hash()))
            .filter(setup_token::Column::ExpiresAt.gt(now.nanos()))
            .exec(&transaction)
            .await?;
        if used.rows_affected != 1 || user::Entity::find().count(&transaction).await? > 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        user::ActiveModel {
            name: Set(name.to_owned()),
            role: Set(role.to_owned()),
            password_hash: Set(password_hash),
            created_at: Set(now.nanos()),
            id: NotSet,
        }
        .insert(&transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Whether this is the set-up token, still good.
    pub(crate) async fn is_setup_token(&self, token: &Secret, now: Timestamp) -> Result<bool, StateError> {
        let row = setup_token::Entity::find_by_id(token.hash()).one(&self.db).await?;
        Ok(row.is_some_and(|row| row.expires_at > now.nanos()))
    }

    /// The user with this name.
    pub(crate) async fn user(&self, name: &str) -> Result<Option<user::Model>, StateError> {
        Ok(user::Entity::find().filter(user::Column::Name.eq(name)).one(&self.db).await?)
    }

    /// Begins a session of a user.
    pub(crate) async fn open_session(
        &self,
        token: &Secret,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let row = session::ActiveModel {
            token_hash: Set(token.hash()),
            user_id: Set(user),
            created_at: Set(now.nanos()),
            last_used_at: Set(now.nanos()),
        };
        session::Entity::insert(row).exec(&self.db).await?;
        Ok(())
    }

    /// Who holds this session, if it was created after `created_after` and used after `used_after`. Its use is noted at
    /// most once a minute.
    pub(crate) async fn session(
        &self,
        token: &Secret,
        created_after: Timestamp,
        used_after: Timestamp,
        now: Timestamp,
    ) -> Result<Option<LoggedOn>, StateError> {
        const NOTED_EVERY_NANOS: i64 = 60 * 1_000_000_000;
        let Some(row) = session::Entity::find_by_id(token.hash()).one(&self.db).await? else {
            return Ok(None);
        };
        if row.created_at <= created_after.nanos() || row.last_used_at <= used_after.nanos() {
            return Ok(None);
        }
        let Some(user) = user::Entity::find_by_id(row.user_id).one(&self.db).await? else { return Ok(None) };
        if now.nanos() - row.last_used_at > NOTED_EVERY_NANOS {
            let mut used: session::ActiveModel = row.into();
            used.last_used_at = Set(now.nanos());
            used.update(&self.db).await?;
        }
        Ok(Some(LoggedOn { name: user.name, role: user.role }))
    }

    /// Ends a session.
    pub(crate) async fn close_session(&self, token: &Secret) -> Result<(), StateError> {
        session::Entity::delete_by_id(token.hash()).exec(&self.db).await?;
        Ok(())
    }

    /// Forgets sessions that were created before `created_before` or not used since `used_before`.
    pub(crate) async fn sweep_sessions(
        &self,
        created_before: Timestamp,
        used_before: Timestamp,
    ) -> Result<(), StateError> {
        session::Entity::delete_many()
            .filter(
                Condition::any()
                    .add(session::Column::CreatedAt.lt(created_before.nanos()))
                    .add(session::Column::LastUsedAt.lt(used_before.nanos())),
            )
            .exec(&self.db)
            .await?;
        Ok(())
    }
}
