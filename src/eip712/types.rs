//! The types that a message uses, checked and with their hashes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::type_name::{Base, TypeName};
use super::{Invalid, MAX_DEFINITIONS, MAX_TYPES};
use crate::evm::Word;
use crate::evm::keccak::keccak256;
use crate::json::{Json, Members};

/// The types that are reachable from the first one.
pub(super) struct Types(Vec<Struct>);

pub(super) struct Struct {
    name: String,
    pub fields: Vec<Field>,
    pub type_hash: Word,
}

/// A member of a struct.
pub(super) struct Field {
    pub name: String,
    type_name: String,
    pub kind: Kind,
    /// The lengths of the arrays around the base, the innermost first.
    pub dimensions: Vec<Option<usize>>,
}

/// The type before the brackets, with structs by their index in the list.
pub(super) type Kind = Base<usize>;

/// The definition of a member. The standard ignores other keys.
#[derive(Deserialize)]
pub(super) struct Definition<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub type_name: Cow<'a, str>,
}

/// The definitions of all types of a document, by name.
pub(super) struct Definitions<'a>(Members<'a>);

impl<'a> Definitions<'a> {
    pub(super) fn read(types: Json<'a>) -> Result<Self, Invalid> {
        let members = types.members().ok_or_else(|| {
            Invalid::new("Types must be an object of lists of members, with no name twice.")
        });
        Ok(Self(members.map_err(|invalid| invalid.inside("types"))?))
    }

    /// The members of a type; `None` if it is not defined.
    pub(super) fn get(&self, name: &str) -> Option<Result<Vec<Definition<'a>>, Invalid>> {
        let definition = self.0.get(name)?;
        let read = || {
            let list = definition.items();
            let list = list.ok_or_else(|| Invalid::new("A type must be a list of members."))?;
            list.into_iter()
                .enumerate()
                .map(|(index, member)| {
                    let problem =
                        "A member must be an object with two strings, \"name\" and \"type\".";
                    let member = member.to();
                    member.ok_or_else(|| Invalid::new(problem).in_element(index))
                })
                .collect::<Result<_, Invalid>>()
        };
        Some(read().map_err(|invalid| invalid.inside(name).inside("types")))
    }

    /// The types that `primary_type` uses. Other types are ignored.
    pub(super) fn resolve(&self, primary_type: &str) -> Result<Types, Invalid> {
        let is_struct = matches!(
            TypeName::parse(primary_type),
            Ok(TypeName { base: Base::Struct(_), dimensions }) if dimensions.is_empty()
        );
        if !is_struct || !self.0.contains_key(primary_type) {
            let problem = "The primary type must be one of the types.";
            return Err(Invalid::new(problem).inside("primaryType"));
        }
        let mut structs = Vec::new();
        let mut names = Names::default();
        names.index(primary_type);
        let mut size = 0;
        while let Some(name) = names.in_order.get(structs.len()).cloned() {
            let fields = self.fields(&name, &mut names)?;
            let length = |field: &Field| field.name.len() + field.type_name.len() + 2;
            size += name.len() + fields.iter().map(length).sum::<usize>();
            if names.in_order.len() > MAX_TYPES || size > MAX_DEFINITIONS {
                let problem = format!(
                    "The message uses more than {MAX_TYPES} types, or more than {MAX_DEFINITIONS} bytes of them."
                );
                return Err(Invalid::new(problem).inside("types"));
            }
            structs.push(Struct {
                name,
                fields,
                type_hash: [0; 32],
            });
        }
        let mut types = Types(structs);
        let hashes: Vec<Word> = (0..types.0.len())
            .map(|index| keccak256(types.encode_type_of(index).as_bytes()))
            .collect();
        for (definition, hash) in types.0.iter_mut().zip(hashes) {
            definition.type_hash = hash;
        }
        Ok(types)
    }

    fn fields(&self, name: &str, names: &mut Names) -> Result<Vec<Field>, Invalid> {
        let definitions = self.get(name).transpose()?.unwrap_or_default();
        let mut seen = BTreeSet::new();
        let mut fields = Vec::with_capacity(definitions.len());
        for (index, definition) in definitions.into_iter().enumerate() {
            let refused = |problem: Invalid, member: &str| {
                problem
                    .inside(member)
                    .in_element(index)
                    .inside(name)
                    .inside("types")
            };
            let Definition { name, type_name } = definition;
            if !seen.insert(name.clone()) {
                return Err(refused(
                    Invalid::new("The type has two members with this name."),
                    "name",
                ));
            }
            let parsed = TypeName::parse(&type_name).map_err(|problem| refused(problem, "type"))?;
            let kind = self.kind(&type_name, parsed.base, names);
            let kind = kind.map_err(|problem| refused(problem, "type"))?;
            let dimensions = parsed.dimensions;
            fields.push(Field {
                name: name.into_owned(),
                type_name: type_name.into_owned(),
                kind,
                dimensions,
            });
        }
        Ok(fields)
    }

    fn kind(&self, text: &str, base: Base<&str>, names: &mut Names) -> Result<Kind, Invalid> {
        let name = text.split('[').next().unwrap_or_default();
        match (base, self.0.contains_key(name)) {
            (Base::Struct(_), false) => Err(Invalid::new("The type is not defined.")),
            (Base::Struct(_), true) | (_, false) => Ok(base.with_struct(|name| names.index(name))),
            (_, true) => Err(Invalid::new(
                "The types define a type with the name of an atomic type.",
            )),
        }
    }
}

impl Types {
    pub(super) fn get(&self, index: usize) -> Option<&Struct> {
        self.0.get(index)
    }

    /// `encodeType` of the first type.
    pub(super) fn encode_type(&self) -> String {
        self.encode_type_of(0)
    }

    /// The type, then the types that it uses, ordered by name.
    fn encode_type_of(&self, index: usize) -> String {
        let mut used = BTreeMap::new();
        let mut waiting = vec![index];
        while let Some(next) = waiting.pop().and_then(|index| self.get(index)) {
            if used.insert(next.name.as_str(), next).is_none() {
                waiting.extend(next.fields.iter().filter_map(|field| match field.kind {
                    Kind::Struct(index) => Some(index),
                    _ => None,
                }));
            }
        }
        let mut text = String::new();
        if let Some(first) = self.get(index) {
            used.remove(first.name.as_str());
            first.write(&mut text);
        }
        for other in used.values() {
            other.write(&mut text);
        }
        text
    }
}

impl Struct {
    /// `Name(type1 name1,type2 name2)`.
    fn write(&self, text: &mut String) {
        text.push_str(&self.name);
        text.push('(');
        for (number, field) in self.fields.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            text.push_str(&field.type_name);
            text.push(' ');
            text.push_str(&field.name);
        }
        text.push(')');
    }
}

/// The structs in the order in which they were found.
#[derive(Default)]
struct Names {
    in_order: Vec<String>,
    indexes: BTreeMap<String, usize>,
}

impl Names {
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.indexes.get(name) {
            return *index;
        }
        let index = self.in_order.len();
        self.in_order.push(name.to_owned());
        self.indexes.insert(name.to_owned(), index);
        index
    }
}
